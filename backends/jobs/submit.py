"""Putting one spec into the queue."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from backends.jobs import store
from backends.jobs.errors import QueueError
from backends.jobs.ingest import insert_row
from backends.jobs.spawn import start_dispatcher
from backends.jobs.spec import freeze
from db.connect import bump, connect, immediate
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run


def submit(home: Home, parts: dict[str, Any]) -> int:
    """Freeze a spec, write its run directory, then its row, and see that a dispatcher runs; the run's id.

    Raises:
        QueueError: A parent in ``after`` does not exist.
    """
    with closing(connect(home.runs_db)) as conn:
        for parent in parts.get("after") or ():
            need(conn, parent)
        run_id = store.allocate(home)
        spec = freeze({"id": run_id, **parts})
        store.create(home, run_id, spec)
        with immediate(conn):
            insert_row(conn, run_id, spec, home.run_dir(run_id))
            bump(conn, "runs")
    if not spec.get("held"):
        start_dispatcher(home)
    return run_id


def need(conn: sqlite3.Connection, run_id: int) -> Run:
    """The run, or a QueueError that says there is none."""
    run = get_run(conn, run_id)
    if run is None:
        raise QueueError(f"there is no run #{run_id}", hint="`fada jobs` lists them")
    return run
