"""Watches fada.db and runs.db from a thread: what changed is read and sent to the app, nothing else is.

``PRAGMA data_version`` costs microseconds and says whether anybody wrote; then a counter per topic says what.
What the tracker itself does not need is imported once it is shown: it would take longer than all the rest.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from db.connect import SchemaTooNew, check_version, connect, counters, data_version
from db.home import Home
from db.tracker.queries import load_tracker, refresh_tracker
from db.versions import KNOWN
from fada_tui.messages import NoteFileLoaded, ProposalsLoaded, RunLoaded, RunsLoaded, SourceFailed, TrackerLoaded
from fada_tui.sources.trouble import OVERTAKEN, UNREADABLE
from fada_tui.sources.views import Failure, RunList, RunView

if TYPE_CHECKING:
    from db.runs.queries import Known
    from db.runs.rows import MetricPoint
    from db.tracker.rows import Proposal, Tracker
    from db.tracker.sync import Stamp, SyncState
    from fada_tui.sources.prospects import Prospects

POLL_S = 0.2
REDRAW_S = 0.5
"""A run that writes a thousand events a second is read this often."""
FILE_S = 2.0
"""So often the note's file is looked at; the note itself makes it looked at at once."""
HISTORY = 200
_WORDS, _WORDS_BYTES = 3, 4096
"""Of the log of a run that failed, so many lines out of so many bytes."""
CURVES = ("loss", "exact", "cosine", "accuracy")


class _File:
    """One database file: a long-lived read-only connection and the topics that changed since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.conn: sqlite3.Connection | None = None
        self._inode = 0
        self._version = -1
        self._counters: dict[str, int] = {}

    def changed(self) -> set[str] | None:
        """Topics written since the last call; None right after (re-)opening, when everything is new.

        Raises:
            sqlite3.Error, OSError: The file cannot be read now.
        """
        inode = self.path.stat().st_ino
        if self.conn is None or inode != self._inode:
            # The index may have been rebuilt into a new file.
            self.close()
            self.conn, self._inode, self._version = connect(self.path, read_only=True), inode, -1
        version = data_version(self.conn)
        if version == self._version:
            return set()
        check_version(self.conn, KNOWN[self.path.name], self.path)
        first = self._version == -1
        now = counters(self.conn)
        before, self._counters, self._version = self._counters, now, version
        return None if first else {topic for topic, count in now.items() if before.get(topic) != count}

    def close(self) -> None:
        if self.conn is not None:
            self.conn.close()
        self.conn = None
        self._version = -1


class Watcher:
    """Runs in one thread; the app's thread only calls :meth:`choose`, :meth:`nudge` and :meth:`stop`.

    Args:
        home: Whose databases.
        post: Thread-safe: hands a message to the app.
        go_on: Once it is set, what is not the tracker is read too; None: at once.
    """

    def __init__(self, home: Home, post: Callable[[Message], object], go_on: threading.Event | None = None) -> None:
        self._post = post
        self._go_on = go_on
        self._tracker = _File(home.fada_db)
        self._runs = _File(home.runs_db)
        self._wake = threading.Event()
        self._stopped = False
        self._wanted: int | None = None
        self._due: set[str] = set()
        self._trouble: str | None = None
        self._list: RunList | None = None
        self._known: Known = {}
        self._prospects: Prospects | None = None
        self._note: Tracker | None = None
        self._proposals: dict[str, Proposal] = {}
        self._file: Path | None = None
        self._stamp: Stamp | None = None
        self._state: SyncState | None = None
        self._looked = 0.0

    def choose(self, run_id: int | None) -> None:
        """Which run the Run pane shows; None: the newest that is active, else the newest."""
        self._wanted = run_id
        self._due.add("view")
        self._wake.set()

    def nudge(self) -> None:
        """Look again at once."""
        self._due.add("now")
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        """The loop. A database that cannot be read is reported once and tried again."""
        pause = 0.0
        try:
            while not self._stopped:
                try:
                    pause = self._round(pause)
                    self._report(None)
                except (sqlite3.Error, OSError) as error:
                    self._tracker.close()
                    self._runs.close()
                    newer = isinstance(error, SchemaTooNew)
                    self._report(OVERTAKEN if newer else f"{UNREADABLE}: {error}")
                    pause = 1.0
                self._wake.wait(max(POLL_S, pause) if self._trouble else POLL_S)
                self._wake.clear()
        finally:
            self._tracker.close()
            self._runs.close()

    def _report(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._post(SourceFailed(trouble))

    def _round(self, quiet: float) -> float:
        """One look; ``quiet`` is how long runs.db is left alone yet, and the answer is the next such time."""
        noted = self._read_note()
        if self._go_on is not None:
            self._go_on.wait()
        self._look_at_file(noted)
        before = self._list
        quiet = self._read_runs(quiet)
        if noted or self._list is not before:
            self._propose()
        return quiet

    def _read_note(self) -> bool:
        """Send the tracker if it changed, and say whether it did."""
        topics = self._tracker.changed()
        conn = self._tracker.conn
        if conn is None or not (topics is None or "tracker" in topics):
            return False
        self._note = load_tracker(conn) if topics is None or self._note is None else refresh_tracker(conn, self._note)
        # Made here, where nobody waits for a key.
        _ = self._note.by_name
        self._post(TrackerLoaded(self._note))
        return True

    def _look_at_file(self, noted: bool) -> None:
        """Send how the note's file stands to the note, if that changed."""
        conn = self._tracker.conn
        if conn is None or not (noted or time.monotonic() - self._looked >= FILE_S):
            return
        from db.tracker.sync import look, note_file

        self._looked = time.monotonic()
        if noted:
            self._file = note_file(conn)
        state = None
        if self._file is not None:
            state, self._stamp = look(conn, self._file, self._stamp)
        if state != self._state:
            self._state = state
            self._post(NoteFileLoaded(state))

    def _propose(self) -> None:
        """Send what finished runs suggest, if that changed."""
        if self._tracker.conn is None or self._runs.conn is None:
            return
        from db.tracker.proposals import proposals

        found = proposals(self._tracker.conn, self._runs.conn)
        if found != self._proposals:
            self._proposals = found
            self._post(ProposalsLoaded(found))

    def _read_runs(self, quiet: float) -> float:
        """As :meth:`_round`, of runs.db alone."""
        hurried = bool(self._due & {"now", "view"})
        if quiet > 0 and not hurried:
            return quiet - POLL_S
        due, self._due = self._due, set()
        topics = self._runs.changed()
        if topics is None:
            topics = {"runs", "scores", "view"}
        topics |= due
        if self._prospects is not None and self._prospects.due():
            topics.add("runs")
        if not topics & {"runs", "scores", "view", "metrics", "predictions", "messages"}:
            return 0.0
        self._read(topics)
        return REDRAW_S

    def _ahead(self) -> Prospects:
        if self._prospects is None:
            from fada_tui.sources.prospects import Prospects

            self._prospects = Prospects()
        return self._prospects

    def _read(self, topics: set[str]) -> None:
        from db.runs import queries

        conn = self._runs.conn
        assert conn is not None
        if self._list is None or topics & {"runs", "scores"}:
            old = self._list
            scores = (
                old.scores
                if old and "scores" not in topics
                else tuple(queries.scores(conn, overall_only=True, tasks=True))
            )
            runs = tuple(queries.list_runs(conn, limit=HISTORY, archived=False, known=self._known))
            found = RunList(runs, scores, self._ahead().look(conn, runs))
            if found != old:
                self._list = found
                self._post(RunsLoaded(found))
        assert self._list is not None
        chosen = self._list.get(self._wanted) or self._list.default()
        self._post(RunLoaded(load_view(conn, chosen.id) if chosen else None))


def load_view(conn: sqlite3.Connection, run_id: int) -> RunView | None:
    """One run with what the Run pane draws; None where it is gone."""
    from backends.jobs.limits import max_seconds
    from backends.jobs.reservation import source_text
    from backends.jobs.store import read_control
    from db.runs import queries

    detail = queries.run_detail(conn, run_id)
    if detail is None:
        return None
    drawn = drawn_curves(detail.metrics)
    curves: dict[str, tuple[MetricPoint, ...]] = {
        name: tuple(queries.curve(conn, run_id, name, points=400)) for name in drawn
    }
    said = queries.summary(conn, run_id) if detail.run.state in ("failed", "lost") else {}
    failure = None
    with suppress(KeyError):
        failure = Failure(str(said["message"]), said.get("hint"))
    return RunView(
        detail.run,
        detail.spec,
        curves,
        tuple(queries.scores(conn, run_id)),
        tuple(queries.last_predictions(conn, run_id, limit=20)),
        queries.said_once(detail.messages)[-20:],
        failure,
        source_text(detail.spec, read_control(Path(detail.run.run_dir))),
        max_seconds(detail.spec),
        tuple(one for name, one in detail.metrics.items() if name not in drawn),
        last_words(Path(detail.run.run_dir) / "log.txt") if detail.run.state == "failed" and failure is None else (),
    )


def last_words(log: Path) -> tuple[str, ...]:
    """The last lines of a log that say something, however long it is."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _WORDS_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip())[-_WORDS:]


def drawn_curves(names: Iterable[str]) -> list[str]:
    """Losses and scores; where a program of one's own reports neither, the first of what it does report."""
    ordered = sorted(names)
    return [name for name in ordered if any(part in name for part in CURVES)] or ordered[:2]
