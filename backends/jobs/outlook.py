"""The forecast of the present queue: gathers from the index what the pure forecast needs."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from backends.jobs.admission import Capacity
from backends.jobs.forecast import Forecast, Past, Work, expected_seconds, forecast
from backends.jobs.store import read_attempt
from backends.telemetry.codec import from_dict
from db.runs.queries import earlier_runs, latest_samples, spec_of
from db.runs.rows import Run
from db.runs.states import SAVING, STOPPING
from db.runs.waiting import unfinished_runs

_FRESH_S = 120.0
_Known = dict[tuple[str, str, str | None], list[Past]]
"""Earlier runs by what they were of: looked up once for all that wait."""
FORESEEN = 300
"""So many of those that wait are compared with earlier runs; how long the others take is not known yet."""


def outlook(conn: sqlite3.Connection, now: float | None = None, live: Sequence[Run] | None = None) -> Forecast:
    """When everything that is not over should start and end.

    Args:
        live: All runs that are not over, where they were read already.
    """
    at = time.time() if now is None else now
    runs = unfinished_runs(conn, live)
    active = sum(run.is_active for run, _ in runs)
    foreseen = {run.id for run, _ in runs if run.is_active} | {run.id for run, _ in runs[: active + FORESEEN]}
    known: _Known = {}
    works = [_work(conn, run, exclusive, at, known if run.id in foreseen else None) for run, exclusive in runs]
    return forecast(works, _capacity(conn, at), at)


def _work(conn: sqlite3.Connection, run: Run, exclusive: bool, now: float, known: _Known | None) -> Work:
    reserved = max(run.reserved_bytes or 0, (run.peak_bytes or 0) if run.is_active else 0)
    seconds = _seconds(conn, run, now, known) if known is not None else None
    aside, elsewhere = run.task == "download", run.engine is not None
    return Work(run.id, run.state, seconds, run.after, reserved, exclusive, aside, elsewhere)


def _seconds(conn: sqlite3.Connection, run: Run, now: float, known: _Known) -> float | None:
    """By its own rate; else as long as an earlier run like it took, less what is over. Pauses are nobody's time."""
    if run.is_active and run.reason in (STOPPING, SAVING):
        return 0.0  # it was asked to stop, and does not go on to its end
    if run.eta_s is not None:
        return run.eta_s
    kind = (run.model, run.kind, run.task)
    if kind not in known:
        runs = Path(run.run_dir).parent
        known[kind] = [
            Past(json.loads(past), _worked(runs / str(one), 1, begin, end))
            for one, past, begin, end in earlier_runs(conn, run.id)
        ]
    expected = expected_seconds(spec_of(conn, run.id), known[kind]) if known[kind] else None
    if expected is None:
        return None
    if run.attempt > 1 and run.fraction:
        return expected * (1 - run.fraction)
    if run.is_active and run.started is not None:
        # One that takes longer than the one before it has no known end.
        left = expected - _worked(Path(run.run_dir), run.attempt, run.started, now)
        return left if left > 0 else None
    return expected


def _worked(folder: Path, attempt: int, begin: float, end: float) -> float:
    """Seconds of an attempt between two moments, pauses left out."""
    found = read_attempt(folder, attempt)
    return max(0.0, end - begin) if found is None else found.worked_s(begin, end)


def _capacity(conn: sqlite3.Connection, now: float) -> Capacity:
    """The machine as the dispatcher last saw it; where it has not looked, only the slots count."""
    samples = latest_samples(conn, now - _FRESH_S, limit=1)
    if not samples:
        return Capacity(1 << 62, 0, os.cpu_count() or 1, "RAM")
    from backends.jobs.engines.machine import capacity_of

    return capacity_of(from_dict(samples[0]))
