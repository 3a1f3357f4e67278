"""What finished runs on this machine measured of a model: training times and sizes of exports.

They stand beside the note's own tables (`Unsloth Verified`, mobile export); a person can have them written there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from db.tracker.proposals import training_words

SHOWN = 5
"""Newest runs of a kind."""


@dataclass(frozen=True)
class Measured:
    """One run's measurement in words, for instance ``trained in 3 min 20 s (1600 samples), peft``."""

    run: int
    kind: str
    """``finetune`` or ``convert``."""
    words: str


def measured(runs: sqlite3.Connection, names: Iterable[str]) -> tuple[Measured, ...]:
    """Newest first, of the runs whose model goes by one of these names, capitals aside."""
    wanted = json.dumps(sorted({name.casefold() for name in names}))
    found = []
    for kind in ("finetune", "convert"):
        rows = runs.execute(
            "SELECT id, summary, json_extract(spec, '$.convert.to') AS target,"
            " json_extract(spec, '$.convert.quant') AS quant FROM runs WHERE kind = ? AND"
            " state = 'done' AND archived = 0 AND lower(model) IN (SELECT value FROM json_each(?))"
            " ORDER BY id DESC LIMIT ?",
            (kind, wanted, SHOWN),
        ).fetchall()
        for row in rows:
            told = json.loads(row["summary"]) if row["summary"] else {}
            words = _trained(runs, row["id"], told) if kind == "finetune" else _exported(row, told)
            if words:
                found.append(Measured(row["id"], kind, words))
    return tuple(found)


def _trained(runs: sqlite3.Connection, run: int, told: dict[str, object]) -> str | None:
    words = training_words(runs, run)
    return words and ", ".join(str(word) for word in (words, told.get("method") or told.get("trainer")) if word)


def _exported(row: sqlite3.Row, told: dict[str, object]) -> str | None:
    """The sizes on disk of what an export left."""
    files = told.get("files")
    sizes = (
        [one["bytes"] for one in files if isinstance(one, dict) and one.get("bytes")] if isinstance(files, list) else []
    )
    if not sizes:
        return None
    called = " ".join(str(word) for word in (row["target"], row["quant"]) if word)
    count = f" in {len(sizes)} files" if len(sizes) > 1 else ""
    return (
        f"{called}: {sum(sizes) / 1e9:.2f} GB{count}"
        if sum(sizes) >= 1e8
        else f"{called}: {sum(sizes) / 1e6:.1f} MB{count}"
    )
