"""Keeps the index true while the panel is open and no dispatcher does."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

from backends.jobs.lock import is_held
from backends.jobs.reconcile import tick_and_wake, work_left
from db.connect import connect, is_corruption, is_damaged
from db.home import Home

_MEND = (
    "import sys; from pathlib import Path; from db.home import Home; from backends.jobs.reindex import mend; "
    "mend(Home(Path(sys.argv[1])))"
)


def keep_true(home: Home, *, always: bool = False, doubtful: bool = False) -> None:
    """:func:`look`; an index that is damaged is made again first.

    Args:
        doubtful: The index could not be read: whether it is damaged is found out.
    """
    try:
        if doubtful and is_damaged(home.runs_db):
            mend(home)
        with closing(connect(home.runs_db)) as conn:
            look(conn, home, always=always)
    except sqlite3.DatabaseError as error:
        if not is_corruption(error):
            raise
        mend(home)


def mend(home: Home) -> None:
    """In a process of its own: it needs libraries that this one must not import."""
    words = [sys.executable, "-P", "-c", _MEND, os.fspath(home.root)]
    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def look(conn: sqlite3.Connection, home: Home, *, always: bool = False) -> None:
    """One tick, where work is left and no dispatcher is there to do it: a killed one must not leave a job that
    seems alive, or one that waits for ever.
    """
    if always or (work_left(conn) and not is_held(home.dispatcher_lock)):
        tick_and_wake(conn, home)
