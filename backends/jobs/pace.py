"""How long a training or an evaluation should take, by what earlier ones of the same model took on this machine."""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.estimate.memory import has_driver, method_of
from backends.jobs.store import read_attempt
from db.home import Home

LOOKED_AT = 20


@dataclass(frozen=True)
class Pace:
    """Samples a second while it works, and what the run took besides: loading, held-out scores, saving."""

    run: int
    samples_per_s: float
    besides_s: float

    def seconds(self, samples: float) -> float:
        """For so many samples, each time that one is seen counted."""
        return samples / self.samples_per_s + self.besides_s


def total_steps(training: Mapping[str, Any], samples: int) -> int:
    """Optimiser steps of a spec's ``training``."""
    if training.get("max_steps"):
        return int(training["max_steps"])
    batches = math.ceil(samples / int(training["batch_size"]))
    return max(1, math.ceil(float(training["epochs"]) * math.ceil(batches / int(training["accumulation"]))))


def find_pace(home: Home, runs: sqlite3.Connection, spec: Mapping[str, Any]) -> Pace | None:
    """Of the newest run that did the same work with the same model in one go; None: it is not known.

    Args:
        runs: runs.db.
        spec: Only kind, task, model, device and training are looked at.
    """
    rows = runs.execute(
        "SELECT id, spec, started, ended, done FROM runs WHERE model = ? AND kind = ? AND task IS ? AND state = 'done' "
        "AND attempt = 1 AND ended > started AND done > 0 ORDER BY id DESC LIMIT ?",
        (spec["model"]["name"], spec["kind"], spec.get("task"), LOOKED_AT),
    ).fetchall()
    wanted = _work(spec)
    for row in rows:
        past = json.loads(row["spec"])
        if _work(past) == wanted and (found := _pace(home.run_dir(row["id"]), runs, row, past)):
            return found
    return None


def _pace(folder: Path, runs: sqlite3.Connection, row: sqlite3.Row, past: Mapping[str, Any]) -> Pace | None:
    attempt = read_attempt(folder, 1)
    begin, end = row["started"], row["ended"]
    worked = end - begin if attempt is None else attempt.worked_s(begin, end)
    samples = float(row["done"])
    rates: list[float] = []
    if past["kind"] == "finetune":
        training = past["training"]
        samples *= int(training["batch_size"]) * int(training.get("accumulation") or 1)
        rates = _measured(runs, row["id"])
    if worked <= 0 or samples <= 0:
        return None
    rate = statistics.median(rates) if rates else samples / worked
    return Pace(row["id"], rate, max(0.0, worked - samples / rate))


def _measured(runs: sqlite3.Connection, run: int) -> list[float]:
    rows = runs.execute(
        "SELECT m.value FROM metrics m JOIN curves c ON c.id = m.curve WHERE c.run = ? AND c.name = 'samples_per_s' "
        "AND m.value > 0",
        (run,),
    )
    return [row[0] for row in rows]


def _work(spec: Mapping[str, Any]) -> str:
    """What decides how long a sample takes, to be compared."""
    model, training = spec.get("model") or {}, spec.get("training") or {}
    method = method_of(spec, has_driver()) if training else None
    decides = {
        "model": [model.get("content") or model.get("source"), model.get("quantisation"), spec.get("device")],
        "training": [method, training.get("max_pixels")],
    }
    return json.dumps(decides, sort_keys=True)
