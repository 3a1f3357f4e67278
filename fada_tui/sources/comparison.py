"""Runs beside each other: what is known at once, and what a tool job computes and leaves.

Everything here reads the disk: it is called in a worker thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.jobs import comparison as stored
from backends.jobs.store import read_spec
from db.home import Home
from db.runs.queries import get_run, scores, summary
from db.runs.rows import Alarm, Run, Score

_UNTOLD = ("id", "env", "cwd", "python", "created", "title", "after", "after_any", "held", "format", "retry_of")
"""Parts of a spec that decide nothing."""


@dataclass(frozen=True)
class Pair:
    """``a`` less ``b`` by one metric on what both answered; what cannot be said is None."""

    a: int
    b: int
    metric: str
    n_common: int
    images: int
    value_a: float | None = None
    value_b: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    question: str | None = None
    category: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rank:
    run: int
    metric: str
    n: int
    value: float | None
    rank: int | None
    rank_low: int | None
    rank_high: int | None


@dataclass(frozen=True)
class Parting:
    """How many answers of a pair part, by who is right, and the file that has them."""

    a: int
    b: int
    path: Path
    a_right: int
    b_right: int
    neither: int
    kept: int

    @property
    def total(self) -> int:
        return self.a_right + self.b_right + self.neither


@dataclass(frozen=True)
class Comparison:
    """What the job ``tool`` has computed; ``explored`` are differences within questions and categories."""

    tool: int
    metrics: tuple[str, ...]
    pairs: tuple[Pair, ...]
    explored: tuple[Pair, ...]
    ranks: tuple[Rank, ...]
    partings: tuple[Parting, ...]
    left_out: tuple[str, ...]
    inputs: Mapping[str, str | None]


@dataclass(frozen=True)
class ComparisonView:
    """All that the screen shows. ``runs`` are those that are there; ``specs`` hold every leaf of each one's spec."""

    ids: tuple[int, ...]
    runs: tuple[Run, ...] = ()
    scores: tuple[Score, ...] = ()
    specs: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    comparison: Comparison | None = None
    job: Run | None = None
    """The tool job that is to make it, or that did not end well."""
    trouble: tuple[str, str | None] | None = None
    """Why there is no comparison, and what to do about it."""
    outdated: str = ""
    """What changed since it was made."""

    def run(self, run_id: int) -> Run | None:
        return next((run for run in self.runs if run.id == run_id), None)

    def alarms(self) -> list[tuple[int, Alarm]]:
        """Of the runs' own overall scores, once each."""
        seen = {(score.run or 0, alarm): None for score in self.scores for alarm in score.alarms}
        return list(seen)


class ComparisonSource:
    """Finds the comparison of ``ids`` (newest first), or has it made once."""

    def __init__(self, home: Home, ids: Sequence[int], metric: str | None) -> None:
        self.home = home
        self.ids = tuple(dict.fromkeys(ids))
        self.metric = metric
        self._tool: int | None = None
        self._again = False
        self._comparison: Comparison | None = None
        self._specs: dict[int, dict[str, str]] = {}

    def again(self) -> None:
        """Have it made anew where it failed or is out of date."""
        self._again = True

    def read(self, conn: sqlite3.Connection) -> ComparisonView:
        """What is known now; where nothing is in the way, the job is queued."""
        runs = tuple(run for run in (get_run(conn, one) for one in self.ids) if run is not None)
        for run in runs:
            if run.id not in self._specs:
                self._specs[run.id] = leaves(read_spec(self.home.run_dir(run.id)) or {})
        own = tuple(
            score for run in runs for score in scores(conn, run.id, True) if score.step is None and not score.partial
        )
        parts: dict[str, Any] = {"ids": self.ids, "runs": runs, "scores": own, "specs": dict(self._specs)}
        return ComparisonView(**parts, **self._state(conn, runs))

    def _state(self, conn: sqlite3.Connection, runs: Sequence[Run]) -> dict[str, Any]:
        again, self._again = self._again, False
        if self._comparison is not None:
            changed = self._changed(runs)
            if not (again and changed):
                return {"comparison": self._comparison, "outdated": changed}
            self._comparison, self._tool = None, None
        if trouble := self._in_the_way(runs):
            return {"trouble": trouble}
        found = stored.find(conn, self.home, self.ids, self.metric)
        if found is not None:
            self._comparison = read_comparison(self.home, found)
            return {"comparison": self._comparison}
        if self._tool is None or again:
            made = stored.pending(conn, self.ids, self.metric)
            self._tool = made or stored.enqueue_comparison(self.home, self.ids, self.metric)
        job = get_run(conn, self._tool)
        if job is None:
            return {"trouble": (f"the job #{self._tool} that compared them was deleted", "r compares again")}
        if not job.is_over:
            return {"job": job}
        return {"job": job, "trouble": self._ended(conn, job)}

    def _ended(self, conn: sqlite3.Connection, job: Run) -> tuple[str, str | None]:
        if job.state == "done":
            return f"a run changed while #{job.id} compared them", "r compares again"
        said = summary(conn, job.id)
        message = str(said.get("message") or job.reason or f"it ended as {job.state}")
        hint = f"{said['hint']}; " if said.get("hint") else ""
        return f"the job #{job.id} did not end well ({job.state}): {message}", f"{hint}r tries again"

    def _in_the_way(self, runs: Sequence[Run]) -> tuple[str, str | None] | None:
        if len(self.ids) < 2:
            return "a comparison needs two different runs", "esc goes back; v on a run lists those to compare with"
        here = {run.id for run in runs}
        if gone := [one for one in self.ids if one not in here]:
            return f"there is no run {_numbers(gone)} any more", "esc goes back"
        if live := [run.id for run in runs if not run.is_over]:
            verb = "is" if len(live) == 1 else "are"
            return f"{_numbers(live)} {verb} not over yet", "they are compared as soon as all have ended; esc leaves"
        if silent := [one for one in self.ids if stored.stamp(self.home, one) is None]:
            return f"{_numbers(silent)} left no answers", "only runs with answers can be compared: evaluations"
        return None

    def _changed(self, runs: Sequence[Run]) -> str:
        assert self._comparison is not None
        here = {run.id for run in runs}
        if gone := [one for one in self.ids if one not in here]:
            return f"{_numbers(gone)} was deleted since; this is what was found before"
        now = stored.stamps(self.home, self.ids)
        changed = [one for one in self.ids if now[str(one)] != self._comparison.inputs.get(str(one))]
        return f"{_numbers(changed)} changed since this was made: r compares again" if changed else ""


def read_comparison(home: Home, found: stored.Found) -> Comparison:
    document = found.document
    folder = home.run_dir(found.tool)
    return Comparison(
        found.tool,
        tuple(document["metrics"]),
        tuple(_pair(row) for row in document["comparisons"]),
        tuple(_pair(row) for row in document["explored"]),
        tuple(Rank(*(row[key] for key in _RANK)) for row in document["ranks"]),
        tuple(
            Parting(row["a"], row["b"], folder / row["file"], *(row[key] for key in _PARTING))
            for row in document["parted"]
        ),
        tuple(document["left_out"]),
        document["inputs"],
    )


_RANK = ("run", "metric", "n", "value", "rank", "rank_low", "rank_high")
_PARTING = ("a_right", "b_right", "neither", "kept")
_PAIR = frozenset(Pair.__dataclass_fields__)


def _pair(row: Mapping[str, Any]) -> Pair:
    values = {key: value for key, value in row.items() if key in _PAIR}
    return Pair(**{**values, "warnings": tuple(row.get("warnings") or ())})


def leaves(spec: Mapping[str, Any]) -> dict[str, str]:
    """Every part of a spec that says what was done, as ``generation.max_new_tokens``: ``64``."""
    found: dict[str, str] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for name, one in value.items():
                # Files of an import go by their names: the folder is said once.
                last = str(name).rpartition("/")[2] or str(name)
                walk(f"{key}.{last}" if key else last, one)
        elif value is not None and value != {} and value != []:
            found[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    walk("", {key: value for key, value in spec.items() if key not in _UNTOLD})
    return found


def _numbers(ids: Sequence[int]) -> str:
    return " ".join(f"#{one}" for one in ids)
