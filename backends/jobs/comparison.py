"""What a comparison leaves and how it is found again: computed once, and good while none of its runs changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backends.jobs.files import read_json
from backends.jobs.launch import enqueue_tool
from db.home import Home
from db.runs.states import ACTIVE_STATES, WAITING_STATES

FORMAT = 3
"""Changes when what is stored does; an older one is made anew."""
_LOOKED_AT = 200
"""So many of the newest comparisons are looked through."""


@dataclass(frozen=True)
class Found:
    """``tool`` is the job that made ``document``."""

    tool: int
    document: dict[str, Any]


def stamp(home: Home, run_id: int) -> str | None:
    """Changes when the run's answers or spec do; None where it has no answers."""
    parts = []
    for name in ("predictions.jsonl", "spec.json"):
        try:
            status = (home.run_dir(run_id) / name).stat()
        except OSError:
            return None
        parts.append(f"{status.st_size}.{status.st_mtime_ns}")
    return " ".join(parts)


def stamps(home: Home, runs: Sequence[int]) -> dict[str, str | None]:
    return {str(run): stamp(home, run) for run in runs}


def arguments(runs: Sequence[int], metric: str | None) -> dict[str, Any]:
    """Of the tool job that compares these runs on everything that they share."""
    return {"runs": list(runs), "metrics": None, "also": metric, "question": None, "category": None}


def enqueue_comparison(home: Home, runs: Sequence[int], metric: str | None) -> int:
    """Queue it; the id of the job."""
    return enqueue_tool(home, "compare", arguments(runs, metric), "compare " + " ".join(f"#{run}" for run in runs))


def find(conn: sqlite3.Connection, home: Home, runs: Sequence[int], metric: str | None) -> Found | None:
    """The newest comparison of these runs that still holds."""
    now = stamps(home, runs)
    for tool, spec in _jobs(conn, "done"):
        if _fits(spec, runs, metric) and (spec.get("versions") or {}).get("fada-tui") == _version():
            document = read_json(home.run_dir(tool) / "scores.json")
            if document and document.get("format") == FORMAT and document.get("inputs") == now:
                return Found(tool, document)
    return None


def pending(conn: sqlite3.Connection, runs: Sequence[int], metric: str | None) -> int | None:
    """The job that is to make it, where one waits or runs."""
    waiting = _jobs(conn, *WAITING_STATES, *ACTIVE_STATES)
    return next((tool for tool, spec in waiting if _fits(spec, runs, metric)), None)


def _jobs(conn: sqlite3.Connection, *states: str) -> list[tuple[int, dict[str, Any]]]:
    """Comparisons, newest first."""
    marks = ",".join("?" * len(states))
    rows = conn.execute(
        f"SELECT id, spec FROM runs WHERE kind = 'tool' AND state IN ({marks}) "
        "AND json_extract(spec, '$.tool.name') = 'compare' ORDER BY id DESC LIMIT ?",
        (*states, _LOOKED_AT),
    )
    return [(row[0], json.loads(row[1])) for row in rows]


def _fits(spec: dict[str, Any], runs: Sequence[int], metric: str | None) -> bool:
    """Whether it compares them in this order on everything, ``metric`` among what it computes."""
    given = (spec.get("tool") or {}).get("args") or {}
    if given.get("runs") != list(runs) or any(given.get(key) for key in ("metrics", "question", "category")):
        return False
    return metric in (None, "cosine", "exact", given.get("also"))


def _version() -> str | None:
    try:
        return version("fada-tui")
    except PackageNotFoundError:
        return None
