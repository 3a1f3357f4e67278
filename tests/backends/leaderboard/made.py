"""Runs on a leaderboard, without answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backends.leaderboard.entries import Candidate, Candidates, Query
from db.runs.rows import Alarm

DECIDING = {"data": "a" * 64, "max_new_tokens": 64, "scorer": 2}


def candidate(run: int, value: float, half: float | None = 0.02, **parts: Any) -> Candidate:
    """``half`` is half of its interval's width; None leaves it without."""
    made = Candidate(
        run=run,
        model=f"M{run}",
        from_run=None,
        state="done",
        progress=(600, 600),
        archived=False,
        value=value,
        low=None if half is None else value - half,
        high=None if half is None else value + half,
        n=600,
        answered=600,
        failed=0,
        empty=0,
        unparseable=0,
        gain=value - 0.5,
        source="run",
        stated=False,
        partial=False,
        lower_is_better=False,
        floors={"majority": 0.5, "shuffled": value / 2},
        references={"category_majority": 0.7},
        alarms=(),
        questions=3,
        deciding=DECIDING,
        minor={"torch": "2.13.0"},
        data="test.jsonl",
    )
    return replace(made, **parts)


def candidates(*runs: Candidate, kind: str = "gt", metric: str = "cosine", **parts: Any) -> Candidates:
    return Candidates(Query(kind), metric, (kind,), (metric,), ((None, None),), tuple(runs), **parts)


def flat(*questions: str) -> tuple[Alarm, ...]:
    return tuple(Alarm("collapse", one, f"{one}: 97% of 600 answers are “axial”") for one in questions)
