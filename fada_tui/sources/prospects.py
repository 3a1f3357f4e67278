"""What lies ahead of the queue, in words: when it should be done, what a waiting job comes after, what each reserves.

Made by the watcher's thread: a forecast reads earlier runs.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from backends.jobs.forecast import Forecast, in_words
from backends.jobs.outlook import outlook
from backends.jobs.reservation import source_text
from backends.jobs.store import read_control
from db.runs.rows import Run
from fada_tui.sources.views import Outlook

AGAIN_S = 10.0
"""A forecast moves on although nothing was written: what has no rate is measured by the clock."""
LEAST_S = 2.0
SHARE = 0.05
"""Of a core: the longer the queue, the more seldom all of it is foreseen."""


class Prospects:
    """Remembers what it need not read again."""

    def __init__(self) -> None:
        self._sources: dict[tuple[int, int], str | None] = {}
        self._made: Outlook = Outlook()
        self._at = -AGAIN_S
        self._of: tuple[tuple[int, str], ...] = ()
        self._cost_s = 0.0

    def due(self) -> bool:
        """Whether there is a forecast that may have become another."""
        return bool(self._of) and time.monotonic() - self._at >= AGAIN_S

    def look(self, conn: sqlite3.Connection, runs: Sequence[Run]) -> Outlook:
        """The outlook of those that are not over; a new one at once where a run came, went or changed its state, unless
        the last one took long.
        """
        live = [run for run in runs if not run.is_over]
        states = tuple((run.id, run.state) for run in live)
        rested = time.monotonic() - self._at
        if rested >= self._cost_s / SHARE and (states != self._of or rested >= LEAST_S):
            begun = time.thread_time()
            self._made = self._make(conn, live)
            self._of, self._at, self._cost_s = states, time.monotonic(), time.thread_time() - begun
        return self._made

    def _make(self, conn: sqlite3.Connection, live: Sequence[Run]) -> Outlook:
        if not live:
            self._sources.clear()
            return Outlook()
        now = time.time()
        found = outlook(conn, now, live)
        return Outlook(*in_words(found, now), next_after(found, live), self._sources_of(conn, live))

    def _sources_of(self, conn: sqlite3.Connection, live: Sequence[Run]) -> dict[int, str]:
        """Where each reservation is from; it changes with the attempt alone."""
        known = {(run.id, run.attempt): run for run in live}
        self._sources = {key: source for key, source in self._sources.items() if key in known}
        for key, run in known.items():
            if key not in self._sources:
                self._sources[key] = reserved_because(conn, run)
        return {run: source for (run, _), source in self._sources.items() if source is not None}


def reserved_because(conn: sqlite3.Connection, run: Run) -> str | None:
    """``seen in #12``, ``estimated``; None where nobody said."""
    row = conn.execute("SELECT spec FROM runs WHERE id = ?", (run.id,)).fetchone()
    return None if row is None else source_text(json.loads(row[0]), read_control(Path(run.run_dir)))


def next_after(found: Forecast, live: Sequence[Run]) -> dict[int, int]:
    """Each queued run and the one at whose end it should start."""
    ends = {span.end: span.run for span in found.spans if span.end is not None}
    waiting = {run.id for run in live if run.state == "queued"}
    starts = (
        (span.run, ends.get(span.start)) for span in found.spans if span.run in waiting and span.start is not None
    )
    return {run: before for run, before in starts if before is not None}
