"""Keeps the index true while the panel is open and no dispatcher does."""

from __future__ import annotations

import sqlite3

from backends.jobs.lock import is_held
from backends.jobs.reconcile import tick_and_wake, work_left
from db.home import Home


def look(conn: sqlite3.Connection, home: Home, *, always: bool = False) -> None:
    """One tick, where work is left and no dispatcher is there to do it: a killed one must not leave a job that
    seems alive, or one that waits for ever.
    """
    if always or (work_left(conn) and not is_held(home.dispatcher_lock)):
        tick_and_wake(conn, home)
