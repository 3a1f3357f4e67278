"""How much memory a job reserves: what an earlier run like it was seen to take, else the estimate's upper end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from backends.estimate.memory import estimate
from backends.jobs.admission import MARGIN, Capacity, Claim, impossible
from backends.jobs.errors import QueueError
from backends.jobs.store import Control
from db.connect import connect
from db.home import Home

GROWTH = 1.1
"""Room over a peak that was seen."""
LOOKED_AT = 50
"""Earlier runs of the same model, the newest first."""


class Seen(NamedTuple):
    """The most that an earlier run like this one took."""

    run: int
    bytes: int


def with_reservation(
    home: Home, parts: dict[str, Any], capacity: Capacity, reserve: int | None = None
) -> dict[str, Any]:
    """The parts with ``reserve``: bytes, where they come from, and the most that this machine could give.

    Args:
        reserve: What a person asked for; else it is looked up or estimated.

    Raises:
        QueueError: The job can never fit this machine; both numbers are named.
    """
    seen = None
    if reserve is not None:
        least = high = reserve
        how = source = "asked for"
    elif (seen := find_seen(home, parts, capacity.memory)) is not None:
        least, high = seen.bytes, int(seen.bytes * GROWTH)
        how = source = f"seen in #{seen.run}"
    else:
        on_card = capacity.memory == "VRAM"
        sizes = estimate(parts, cuda=on_card)
        least, high = (sizes.vram_bytes, sizes.vram_high) if on_card else (sizes.host_bytes, sizes.host_high)
        how, source = sizes.how, "estimated"
    hopeless = None if seen else impossible(Claim(0, least), capacity)
    if hopeless:
        raise QueueError(f"this job {hopeless} ({how})", hint="take a smaller model or batch, or another machine")
    most = capacity.total - MARGIN
    return {
        **parts,
        "reserve": {
            "bytes": min(high, most),
            "exclusive": parts["kind"] == "finetune",
            "how": how,
            "source": source,
            "memory": capacity.memory,
            "most": most,
        },
    }


def find_seen(home: Home, parts: Mapping[str, Any], memory: str) -> Seen | None:
    """The highest peak of finished runs that did the same with the same model, or None."""
    key = memory_key(parts)
    if key is None:
        return None
    with closing(connect(home.runs_db, read_only=True)) as conn:
        found = [Seen(row["id"], row["peak_bytes"]) for row in _candidates(conn, parts) if _alike(row, key, memory)]
    return max(found, key=lambda one: one.bytes, default=None)


def _candidates(conn: sqlite3.Connection, parts: Mapping[str, Any]) -> list[sqlite3.Row]:
    return conn.execute(
        "SELECT id, peak_bytes, spec FROM runs WHERE model = ? AND state = 'done' AND kind = ? AND task IS ? "
        "AND peak_bytes > 0 ORDER BY id DESC LIMIT ?",
        (parts["model"]["name"], parts["kind"], parts.get("task"), LOOKED_AT),
    ).fetchall()


def _alike(row: sqlite3.Row, key: tuple[Any, ...], memory: str) -> bool:
    spec = json.loads(row["spec"])
    return (spec.get("reserve") or {}).get("memory") == memory and memory_key(spec) == key


def memory_key(spec: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What decides how much memory a job takes; None for a job without a model.

    A batch is never larger than the data, so a trial on four questions says nothing of a batch of 32.
    """
    model = spec.get("model")
    if not model:
        return None
    generation, training, data = (spec.get(part) or {} for part in ("generation", "training", "data"))
    samples = data.get("samples") or 0
    held_out = (training.get("eval_data") or {}).get("samples") or 0
    asked = samples if spec.get("kind") == "eval" else held_out
    return (
        model.get("content") or (model.get("source"), model.get("revision")),
        model.get("loader"),
        model.get("quantisation"),
        model.get("from_run") is not None,
        min(generation.get("batch_size") or 1, asked),
        generation.get("max_new_tokens"),
        training.get("method"),
        min(training.get("batch_size") or 0, samples),
        json.dumps(training.get("lora"), sort_keys=True),
        json.dumps(spec.get("scoring"), sort_keys=True),
        spec.get("device"),
    )


def source_text(spec: Mapping[str, Any], control: Control) -> str | None:
    """Where a run's reservation comes from, in words: ``seen in #12``, ``estimated``."""
    if control.reserve is not None:
        return f"raised after attempt {control.out_of_memory} ran out of memory"
    source = (spec.get("reserve") or {}).get("source")
    return str(source) if source else None
