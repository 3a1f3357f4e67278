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

from backends.estimate.memory import Estimate, estimate, precision_of

LOOKED_AT = 30
"""Earlier runs, the newest first."""
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
        if (past.get("reserve") or {}).get("memory") != memory or not past.get("model"):
            continue
        likely = estimate(past, cuda=memory == "VRAM").interval(memory == "VRAM")[1]
        found.append(Observation(row["id"], row["peak_bytes"], likely, _alike(past, spec)))
    return found


def _alike(past: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """How alike two specs of the same kind are."""
    if _method(past) != _method(spec):
        return "kind"
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
