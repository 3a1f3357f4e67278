"""All that a run scored, and what it takes to judge that: held-out curves, how varied answers are, single values.

Everything here reads the disk: it is called in a worker thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.data.spread import ENTROPY_SHARE, Spread, collapsed, ringing_share, spread_of
from backends.jobs.files import read_json
from db.home import Home
from db.runs.queries import get_run, scores
from db.runs.rows import Alarm, Run, Score
from db.runs.shared import counted_texts

_DIGITS = 3
"""Values are counted rounded to so many digits: a million of them are a few thousand."""


@dataclass(frozen=True)
class Flatness:
    """How varied a question's answers are beside its references, and from where on the collapse alarm rings."""

    question: str
    said: Spread
    true: Spread

    @property
    def rings(self) -> bool:
        return collapsed(self.said, self.true)

    @property
    def ringing_share(self) -> float | None:
        return ringing_share(self.said.n, self.true)

    @property
    def ringing_entropy(self) -> float:
        return ENTROPY_SHARE * self.true.entropy


@dataclass(frozen=True)
class ScoreView:
    """``run`` is None where it was deleted. ``counts``: of each metric how often each value of an answer is there."""

    run: Run | None
    final: tuple[Score, ...] = ()
    held_out: tuple[Score, ...] = ()
    flatness: tuple[Flatness, ...] = ()
    counts: Mapping[str, Mapping[float, int]] = field(default_factory=dict)
    published: tuple[Mapping[str, Any], ...] = ()
    """Of a benchmark its published table, the run's own row among the others."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """In the order of the file: what a run is known by first."""
        return tuple(dict.fromkeys(score.metric for score in (*self.final, *self.held_out)))

    def alarms(self) -> tuple[Alarm, ...]:
        """Once each, whichever score they were raised on."""
        return tuple(dict.fromkeys(alarm for score in (*self.final, *self.held_out[-1:]) for alarm in score.alarms))


class ScoreSource:
    """Reads a run's scores whenever they changed, and its answers only where these did."""

    def __init__(self, home: Home, run_id: int) -> None:
        self._home = home
        self._id = run_id
        self._seen: object = None
        self._flatness: tuple[Flatness, ...] = ()
        self._values_seen: object = None
        self._counts: Mapping[str, Mapping[float, int]] = {}
        self._published_seen: object = None
        self._published: tuple[Mapping[str, Any], ...] = ()

    def read(self, conn: sqlite3.Connection) -> ScoreView:
        run = get_run(conn, self._id)
        if run is None:
            return ScoreView(None)
        found = scores(conn, self._id)
        final = tuple(score for score in found if score.step is None)
        held_out = tuple(sorted((one for one in found if one.step is not None), key=lambda one: one.step or 0))
        # While it runs they grow with every answer: they are read at its end.
        if run.is_over:
            self._read_answers(conn, run)
            self._read_values()
            self._read_published()
        return ScoreView(run, final, held_out, self._flatness, self._counts, self._published)

    def _read_answers(self, conn: sqlite3.Connection, run: Run) -> None:
        seen = self._size("predictions.jsonl")
        if seen != self._seen:
            self._flatness = flatness(conn, run)
            self._seen = seen

    def _read_values(self) -> None:
        seen = self._size("values.jsonl")
        if seen != self._values_seen:
            self._counts = self._count_values()
            self._values_seen = seen

    def _read_published(self) -> None:
        seen = self._size("scores.json")
        if seen != self._published_seen:
            self._published = published_beside(self._home, self._id)
            self._published_seen = seen

    def _size(self, name: str) -> object:
        try:
            status = (self._home.run_dir(self._id) / name).stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def _count_values(self) -> Mapping[str, Mapping[float, int]]:
        """Of ``values.jsonl``: an answer a line, its id and its value by each metric; what is none is left out."""
        found: defaultdict[str, Counter[float]] = defaultdict(Counter)
        try:
            with open(self._home.run_dir(self._id) / "values.jsonl", "rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        _count(line, found)
        except OSError:
            return {}
        return {metric: dict(counts) for metric, counts in found.items()}


def published_beside(home: Home, run_id: int) -> tuple[Mapping[str, Any], ...]:
    """The published table that a run on a benchmark has left beside its scores; nothing of other runs."""
    rows = (read_json(home.run_dir(run_id) / "scores.json") or {}).get("leaderboard")
    return tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


def _count(line: bytes, found: Mapping[str, Counter[float]]) -> None:
    try:
        row = json.loads(line)
    except ValueError:
        return
    for metric, value in row.items() if isinstance(row, dict) else ():
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            found[metric][round(float(value), _DIGITS)] += 1


def flatness(conn: sqlite3.Connection, run: Run) -> tuple[Flatness, ...]:
    """Of each question of a run, by name; on U2-BENCH of each task's data sets, as its alarm.

    None on FETAL-GAUGE, where options are shuffled: one text for every image is many letters there.
    """
    if run.task == "fetal-gauge":
        return ()
    sets = run.task == "u2bench"
    said, true = (_by_topic(conn, run.id, column, sets) for column in ("prediction", "reference"))
    return tuple(
        Flatness(topic, spread_of(said[topic]), spread_of(true.get(topic, Counter()))) for topic in sorted(said)
    )


def _by_topic(conn: sqlite3.Connection, run_id: int, column: str, sets: bool) -> dict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for topic, text, times in counted_texts(conn, run_id, column, sets):
        found[topic][text] += times
    return dict(found)
