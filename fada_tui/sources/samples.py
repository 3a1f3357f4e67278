"""The answers of a run, read in threads: a search that sends places as it finds them, and a reader of their rows."""

from __future__ import annotations

import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from db.connect import connect, counters, data_version
from db.runs.queries import scores
from db.runs.samples import Brief, Sample, Wanted, briefs, find, metrics_of, sample_at
from fada_tui.sources.trouble import explain

PERIOD_S = 0.5
_EVERY_S = 0.3
"""Behind the first piece of a list the next ones are sent together."""
_STEPS = 20_000
"""SQLite looks this often, in steps of its own, whether a search is still wanted."""


@dataclass(frozen=True)
class Piece:
    """More places of a search; ``over`` with the last ones."""

    number: int
    places: array[int]
    over: bool = False
    trouble: str = ""


def search(
    path: Path,
    run: int,
    wanted: Wanted,
    number: int,
    after: int,
    stopped: threading.Event,
    post: Callable[[Piece], object],
) -> None:
    """Send what :func:`db.runs.samples.find` finds, in the caller's thread, until it is over or ``stopped``."""
    try:
        with closing(connect(path, read_only=True)) as conn:
            conn.set_progress_handler(stopped.is_set, _STEPS)
            found, sent = array("q"), 0.0
            for places in find(conn, run, wanted, after):
                if stopped.is_set():
                    return
                found.extend(places)
                if time.monotonic() - sent > _EVERY_S:
                    post(Piece(number, found))
                    found, sent = array("q"), time.monotonic()
                time.sleep(0)  # the app's thread has keys to answer
        post(Piece(number, found, over=True))
    except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
        if not stopped.is_set():
            post(Piece(number, array("q"), over=True, trouble=explain(error)[0]))


@dataclass(frozen=True)
class Rows:
    """Rows that were asked for, and those of their places that have none (any more)."""

    rows: tuple[Brief, ...]
    gone: frozenset[int]
    other: int | None


@dataclass(frozen=True)
class Changed:
    """The run has other answers or values than before; ``metrics`` its answers have values of."""

    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Flat:
    """What the collapse alarms of the run's questions say."""

    alarms: tuple[str, ...]


News = Rows | Sample | Changed | Flat | str
"""What the reader sends; a text says what went wrong."""


class SampleReader:
    """Its :meth:`run` belongs into a thread. It reads what is asked, and tells when the run's answers change.

    Args:
        path: runs.db.
        run: The run's id.
        post: Thread-safe.
    """

    def __init__(self, path: Path, run: int, post: Callable[[News], object]) -> None:
        self._path = path
        self._run = run
        self._post = post
        self._wake = threading.Condition()
        self._places: list[int] = []
        self._place: int | None = None
        self._other: int | None = None
        self._stopped = False
        self._version = -1
        self._counter = self._scored = -1

    def ask(self, places: Iterable[int]) -> None:
        """Send the rows at these places; what was asked before and is not read yet is out of sight by now."""
        with self._wake:
            self._places = list(places)
            self._wake.notify()

    def open(self, place: int) -> None:
        """Send all of this answer; only the last one asked for counts."""
        with self._wake:
            self._place = place
            self._wake.notify()

    def compare(self, other: int | None) -> None:
        """From now on with the answers of this run beside."""
        with self._wake:
            self._other = other

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def run(self) -> None:
        """Until :meth:`stop`. A database that cannot be read is told, and tried again."""
        while not self._stopped:
            try:
                inode = self._path.stat().st_ino
                with closing(connect(self._path, read_only=True)) as conn:
                    while not self._stopped and self._path.stat().st_ino == inode:
                        self._round(conn)
                self._version = -1
            except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
                self._post(explain(error)[0])
                self._version = -1
                with self._wake:
                    self._wake.wait_for(lambda: self._stopped, 4 * PERIOD_S)

    def _round(self, conn: sqlite3.Connection) -> None:
        self._look(conn)
        with self._wake:
            self._wake.wait_for(lambda: self._stopped or self._places or self._place is not None, PERIOD_S)
            places, place, other = self._places, self._place, self._other
            self._places, self._place = [], None
        if place is not None:
            sample = sample_at(conn, self._run, place, other)
            if sample is not None:
                self._post(sample)
        if places:
            rows = tuple(briefs(conn, self._run, places, other))
            self._post(Rows(rows, frozenset(places) - {row.place for row in rows}, other))

    def _look(self, conn: sqlite3.Connection) -> None:
        version = data_version(conn)
        if version != self._version:
            self._version = version
            changes = counters(conn)
            if changes.get("predictions", 0) != self._counter:
                self._counter = changes.get("predictions", 0)
                self._post(Changed(tuple(metrics_of(conn, self._run))))
            if changes.get("scores", 0) != self._scored:
                self._scored = changes.get("scores", 0)
                self._post(Flat(self._flat(conn)))

    def _flat(self, conn: sqlite3.Connection) -> tuple[str, ...]:
        alarms = (alarm for score in scores(conn, self._run) if score.step is None for alarm in score.alarms)
        return tuple(dict.fromkeys(alarm.text for alarm in alarms if alarm.kind == "collapse"))
