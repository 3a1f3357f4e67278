"""One turn of the watch over the runs of engines: hear of those that were handed on, then hand on what may go."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace

from backends.jobs.engines.asking import obey
from backends.jobs.engines.base import EngineError
from backends.jobs.engines.config import EngineSettings, of_spec
from backends.jobs.engines.handing import hand_on
from backends.jobs.engines.hearing import Hearing
from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.submission import read_submission, write_submission
from backends.jobs.engines.tended import Patience, tended
from backends.jobs.files import complain
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import set_reason
from backends.jobs.store import read_spec
from db.home import Home

WATCHED = "engine IS NOT NULL AND state IN ('queued', 'held', 'starting', 'running', 'paused')"
_LATER_S = 30.0
"""Until a submission is tried again that could not be made."""


class Tending:
    """What it remembers between turns is about time, and which runs need no look before their engine is asked again;
    a new one starts with none of it.
    """

    def __init__(self, home: Home, conn: sqlite3.Connection) -> None:
        self._home = home
        self._conn = conn
        self._patience = Patience()
        self._hearing = Hearing(home, conn, self._patience)
        self._engines: dict[str, Slurm] = {}
        self._ask_at: dict[str, float] = {}
        self._hand_on_at: dict[str, float] = {}
        self._handed: set[tuple[int, int]] = set()
        """Runs and attempts that are with their engine."""
        self._complaints: dict[str, str] = {}

    def turn(self) -> None:
        rows = self._conn.execute(
            f"SELECT id, engine, state, attempt, reason FROM runs WHERE {WATCHED} ORDER BY position, id"
        ).fetchall()
        by_engine: dict[str, list[sqlite3.Row]] = {}
        for row in rows:
            by_engine.setdefault(row["engine"], []).append(row)
        for name in [name for name in self._engines if name not in by_engine]:
            del self._engines[name]  # the next run of it may say something else of it
        self._handed &= {(row["id"], row["attempt"]) for row in rows}
        for name, listed in by_engine.items():
            engine = self._engine(name, [row["id"] for row in listed])
            if engine is None:
                continue
            try:
                self._tend(engine, listed)
                self._complaints.pop(name, None)
            except EngineError as error:
                self._trouble(engine, listed, str(error))

    def _engine(self, name: str, runs: Sequence[int]) -> Slurm | None:
        """As the newest of its runs says how it is reached."""
        if name not in self._engines:
            settings = self._settings(runs[-1])
            if settings is None:
                return None
            self._engines[name] = Slurm(settings, self._home)
        return self._engines[name]

    def _settings(self, run: int) -> EngineSettings | None:
        return of_spec(read_spec(self._home.run_dir(run)) or {})

    def _tend(self, engine: Slurm, listed: Sequence[sqlite3.Row]) -> None:
        now = time.monotonic()
        due = now >= self._ask_at.get(engine.name, 0.0)
        runs = [
            tended(self._home, row["id"], row["state"], row["reason"])
            for row in listed
            if due or (row["id"], row["attempt"]) not in self._handed
        ]
        handed = [run for run in runs if run.submission is not None]
        self._handed |= {(run.run, run.control.attempt) for run in handed}
        changed = False
        if due and handed:
            self._ask_at[engine.name] = now + engine.settings.poll_s
            engine.look()
            words = self._hearing.hear(engine, handed)
            changed = obey(self._home, self._conn, engine, handed, words, self._patience)
        waiting = [run for run in runs if run.submission is None]
        if waiting and now >= self._hand_on_at.get(engine.name, 0.0):
            taken, refused = hand_on(self._home, self._conn, engine, waiting)
            changed = changed or taken
            if refused:
                self._hand_on_at[engine.name] = time.monotonic() + _LATER_S
        if changed:
            self._ask_at[engine.name] = 0.0  # what has come of it is soon known

    def _trouble(self, engine: Slurm, listed: Sequence[sqlite3.Row], said: str) -> None:
        """The cluster does not answer: what is known stays as it is, and nothing is called lost."""
        self._ask_at[engine.name] = time.monotonic() + engine.settings.poll_s
        if self._complaints.get(engine.name) != said:
            self._complaints[engine.name] = said
            complain(f"{engine.name}: {said}")
        words = f"{engine.name} does not answer: {said}"
        for row in listed:
            if row["state"] == "queued":
                set_reason(self._conn, row["id"], words)
            elif row["state"] != "held":
                self._say_of_running(row["id"], words)

    def _say_of_running(self, run: int, words: str) -> None:
        """It is shown as it was, with why nothing new is known of it."""
        folder = self._home.run_dir(run)
        submission = read_submission(folder)
        if submission is not None and submission.over is None and submission.trouble != words:
            write_submission(folder, replace(submission, trouble=words))
            ingest(self._conn, self._home, run)
