"""Runs that one run can be compared with, the likeliest first. Read in a worker thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.jobs.store import read_spec
from db.home import Home
from db.runs.queries import list_runs, scores
from db.runs.rows import Run, Score
from db.runs.shared import shared_share


@dataclass(frozen=True)
class Partner:
    """``same_data``: their data files have one hash and limit; ``share`` of the questions that both have."""

    run: Run
    same_data: bool
    share: float
    score: Score | None


def partners(conn: sqlite3.Connection, home: Home, run: Run) -> tuple[Partner, ...]:
    """Evaluations that are over and share questions: those on the same data, then of its kind, then newest first."""
    others = [one for one in list_runs(conn, archived=False) if one.kind == "eval" and one.is_over and one.id != run.id]
    shares = shared_share(conn, run.id, [one.id for one in others])
    own = _data(read_spec(home.run_dir(run.id)) or {})
    overall: dict[int, Score] = {}
    for score in scores(conn, overall_only=True):
        if score.run is not None and score.step is None and not score.partial:
            overall.setdefault(score.run, score)
    found = [
        Partner(one, own is not None and own == _data(read_spec(home.run_dir(one.id)) or {}), shares[one.id], found)
        for one in others
        if one.id in shares
        for found in (overall.get(one.id),)
    ]
    return tuple(sorted(found, key=lambda one: (not one.same_data, one.run.task != run.task, -one.share, -one.run.id)))


def _data(spec: Mapping[str, Any]) -> tuple[Any, ...] | None:
    data = spec.get("data") or {}
    return (data["sha256"], data.get("limit")) if data.get("sha256") else None
