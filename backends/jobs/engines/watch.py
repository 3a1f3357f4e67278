"""Looks after the runs of the engines besides this machine: hands them on, hears what became of them, ends them.

A thread of the dispatcher, which is one at a time: nobody else asks a cluster, and one that does not answer holds up
nothing here. All that it knows is in the run directories, so that killing it is harmless.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

from backends.jobs.engines.base import EngineError
from backends.jobs.engines.tending import WATCHED, Tending
from backends.jobs.files import complain
from db.connect import SchemaMismatch, connect
from db.home import Home

GLANCE_S = 0.5
"""So often the index is looked at for runs of engines; clusters are asked as seldom as their settings say."""
TROUBLE_S = 15.0


class Watch:
    """One life of the dispatcher's watch; it looks at nothing until there is a run of an engine."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def glance(self, conn: sqlite3.Connection) -> None:
        """Begin to watch where there is something to watch."""
        if self._thread is not None and self._thread.is_alive():
            return
        if conn.execute(f"SELECT 1 FROM runs WHERE {WATCHED} LIMIT 1").fetchone():
            self._thread = threading.Thread(target=self._run, name="engines", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """A submission under way is waited for a little: what is broken off is found again by its label."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        with closing(connect(self._home.runs_db)) as conn:
            tending = Tending(self._home, conn)
            while not self._over.is_set():
                pause = GLANCE_S
                try:
                    tending.turn()
                except SchemaMismatch:
                    return  # the dispatcher sees it too, and leaves to a newer one
                except (EngineError, OSError, sqlite3.Error) as error:
                    complain(f"engines: {error}; trying again")
                    pause = TROUBLE_S
                self._over.wait(pause)
