"""Run directories that the index does not know, found without a look at the whole history.

The folder's modification time says whether a directory came or went since the last listing. What was there without
a spec then (being made, or left half made) is noted and looked at alone.
"""

from __future__ import annotations

import sqlite3
import time

from backends.jobs.ingest import adopt, ingest
from backends.jobs.store import run_ids
from db.connect import immediate
from db.home import Home
from db.runs.due import clear_due, due_runs, mark_due

_SETTLED_NS = 1_000_000_000
"""A modification time this young may hide another change in the same clock tick."""


def adopt_new(conn: sqlite3.Connection, home: Home) -> None:
    """Index directories that have no row (a crash between spec.json and the row, or a folder that was put back)."""
    try:
        stamp = home.runs.stat().st_mtime_ns
    except FileNotFoundError:
        return
    seen = conn.execute("SELECT mtime_ns FROM scanned WHERE folder = 'runs'").fetchone()
    if seen is not None and seen[0] == stamp:
        return
    known = {row[0] for row in conn.execute("SELECT id FROM runs")}
    unmade = [run_id for run_id in run_ids(home) if run_id not in known and not adopt(conn, home, run_id)]
    # A stamp from the future is a clock that was set back: list again until it has caught up.
    if time.time_ns() - stamp > _SETTLED_NS:
        with immediate(conn):
            mark_due(conn, unmade)
            conn.execute("INSERT OR REPLACE INTO scanned(folder, mtime_ns) VALUES ('runs', ?)", (stamp,))


def look_at_due(conn: sqlite3.Connection, home: Home) -> None:
    """Take in the runs that were noted; one that is still half made stays noted."""
    for run_id in due_runs(conn):
        if ingest(conn, home, run_id) is None and not adopt(conn, home, run_id) and not home.run_dir(run_id).is_dir():
            with immediate(conn):
                clear_due(conn, run_id)
