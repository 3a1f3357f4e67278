"""Correcting an estimate by the peaks that this machine recorded.

The estimate's error is taken as a factor, and its logarithm as normal: before anything was seen it is as wide as the
estimate's own interval; each finished run says peak ÷ its estimate, the more firmly the more alike it is.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backends.estimate.memory import Estimate, estimate, image_sizes, precision_of

LOOKED_AT = 30
"""Earlier runs, the newest first."""
GROWTH = 1.1
"""Room over a peak that was seen in a run like this one."""
_OTHER_IMAGES = 1.25
"""Images of so many times more or fewer pixels say nothing of these."""
_SIDE = 1.645
"""Standard deviations to either end of an interval that holds nine of ten."""
_NOISE = {"model": 0.06, "architecture": 0.15, "kind": 0.35}
"""Standard deviation of what a run says of another: of the same model, of one built alike, of the same kind of work."""


@dataclass(frozen=True)
class Observation:
    """A finished run: its peak, and what was estimated for it, in bytes."""

    run: int
    peak: int
    likely: int
    alike: str
    """One of the keys above."""


@dataclass(frozen=True)
class Seen:
    """The most that earlier runs like this one took, and the run that took it."""

    run: int
    bytes: int


@dataclass(frozen=True)
class Corrected:
    """Bytes: the interval after what was seen; and the runs, those of the same model first."""

    low: int
    likely: int
    high: int
    runs: tuple[int, ...]
    same_model: bool


def corrected(found: Estimate, on_card: bool, seen: Iterable[Observation]) -> Corrected | None:
    """None where nothing was seen."""
    runs = [one for one in seen if one.peak > 0 and one.likely > 0]
    low, likely, high = found.interval(on_card)
    if not runs or likely <= 0:
        return None
    prior = max(0.05, math.log(high / max(1, low)) / (2 * _SIDE))
    precision, pull = 1 / prior**2, 0.0
    for one in runs:
        weight = 1 / _NOISE[one.alike] ** 2
        precision += weight
        pull += weight * math.log(one.peak / one.likely)
    mean = pull / precision
    same = any(one.alike == "model" for one in runs)
    # What is left unknown of the factor, and what one run differs from the next by.
    spread = math.sqrt(1 / precision + (_NOISE["model"] if same else _NOISE["architecture"]) ** 2)
    middle = likely * math.exp(mean)
    ends = middle * math.exp(-_SIDE * spread), middle * math.exp(_SIDE * spread)
    ordered = sorted(runs, key=lambda one: (list(_NOISE).index(one.alike), -one.run))
    return Corrected(int(ends[0]), int(middle), int(ends[1]), tuple(one.run for one in ordered), same)


def observations(conn: sqlite3.Connection, spec: Mapping[str, Any], memory: str) -> list[Observation]:
    """What finished runs of the same kind of work took.

    Args:
        conn: runs.db.
        memory: ``VRAM`` or ``RAM``: which of the two the peaks are of.
    """
    rows = conn.execute(
        "SELECT id, peak_bytes, spec FROM runs WHERE state = 'done' AND kind = ? AND peak_bytes > 0 "
        "ORDER BY id DESC LIMIT ?",
        (spec.get("kind"), LOOKED_AT),
    ).fetchall()
    found = []
    for row in rows:
        past = json.loads(row["spec"])
        model = past.get("model")
        if (past.get("reserve") or {}).get("memory") != memory or not model or model.get("loader") == "openai":
            continue
        likely = estimate(past, cuda=memory == "VRAM").interval(memory == "VRAM")[1]
        found.append(Observation(row["id"], row["peak_bytes"], likely, _alike(past, spec)))
    return found


def _alike(past: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """How alike two specs of the same kind are."""
    if _method(past) != _method(spec):
        return "kind"
    if (past.get("data") or {}).get("samples") and not image_sizes(past):
        return "kind"  # it was queued before images were measured: its estimate is of other images than it had
    one, other = past.get("model") or {}, spec.get("model") or {}
    if (one.get("content") or one.get("source")) == (other.get("content") or other.get("source")):
        return "model"
    kinds = {_architecture(str(model.get("source") or "")) for model in (one, other)}
    return "architecture" if len(kinds) == 1 and None not in kinds else "kind"


def _method(spec: Mapping[str, Any]) -> tuple[str, str]:
    return str((spec.get("training") or {}).get("method") or ""), precision_of(spec)


def _architecture(source: str) -> str | None:
    from backends.estimate.configuration import find_configuration

    found = find_configuration(source)
    return found.kind if found else None


def find_seen(conn: sqlite3.Connection, spec: Mapping[str, Any], memory: str) -> Seen | None:
    """The highest peak of finished runs that did the same with the same model, or None."""
    key = memory_key(spec)
    if key is None:
        return None
    rows = conn.execute(
        "SELECT id, peak_bytes, spec FROM runs WHERE model = ? AND state = 'done' AND kind = ? AND task IS ? "
        "AND peak_bytes > 0 ORDER BY id DESC LIMIT ?",
        (spec["model"]["name"], spec["kind"], spec.get("task"), LOOKED_AT),
    ).fetchall()
    found = []
    for row in rows:
        past = json.loads(row["spec"])
        if (
            (past.get("reserve") or {}).get("memory") == memory
            and memory_key(past) == key
            and _images_alike(past, spec)
        ):
            found.append(Seen(row["id"], row["peak_bytes"]))
    return max(found, key=lambda one: one.bytes, default=None)


def usual_images(conn: sqlite3.Connection) -> tuple[int, tuple[tuple[int, int, int], ...]] | None:
    """The newest run whose images were measured, and their sizes: what is taken where no data are named."""
    row = conn.execute(
        "SELECT id, spec FROM runs WHERE json_extract(spec, '$.data.image_sizes[0]') IS NOT NULL"
        " ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    sizes = json.loads(row["spec"])["data"]["image_sizes"]
    return row["id"], tuple((int(width), int(height), int(count)) for width, height, count in sizes)


def memory_key(spec: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What decides how much memory a job takes, its images aside; None for a job without a model.

    A batch is never larger than the data, so a trial on four questions says nothing of a batch of 32.
    """
    model = spec.get("model")
    if not model:
        return None
    generation, training, data = (spec.get(part) or {} for part in ("generation", "training", "data"))
    samples = data.get("samples")
    held_out = (training.get("eval_data") or {}).get("samples") or 0
    asked = samples if spec.get("kind") == "eval" else held_out
    lora = training.get("lora") or {}
    return (
        model.get("content") or model.get("source"),
        model.get("loader"),
        model.get("quantisation"),
        model.get("from_run") is not None,
        _at_most(generation.get("batch_size") or 1, asked),
        generation.get("max_new_tokens"),
        training.get("method"),
        _at_most(training.get("batch_size") or 0, samples),
        training.get("max_length"),
        (lora.get("r"), lora.get("targets") or "both", str(lora.get("target_modules"))) if lora else None,
        bool((spec.get("scoring") or {}).get("embedding")),
        spec.get("device"),
    )


def _at_most(batch: int, samples: int | None) -> int:
    return batch if samples is None else min(batch, samples)


def _images_alike(past: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether the largest images are about as large; of runs of before sizes were measured nothing is known."""
    one, other = _largest_pixels(past), _largest_pixels(spec)
    if one is None or other is None:
        return one is other
    return 1 / _OTHER_IMAGES <= one / other <= _OTHER_IMAGES


def _largest_pixels(spec: Mapping[str, Any]) -> int | None:
    sizes = image_sizes(spec)
    if not sizes:
        return None
    pixels, most = max(width * height for width, height, _ in sizes), (spec.get("training") or {}).get("max_pixels")
    return max(1, min(pixels, int(most)) if most else pixels)
