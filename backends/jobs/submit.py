"""Putting one spec into the queue."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from typing import Any

from backends.jobs import store
from backends.jobs.environments import in_environment
from backends.jobs.errors import QueueError
from backends.jobs.ingest import ingest, insert_row
from backends.jobs.servers import key_names
from backends.jobs.spawn import start_dispatcher
from backends.jobs.spec import freeze
from db.connect import bump, connect, immediate
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run

_ENDED = {"failed": "failed", "cancelled": "been cancelled", "lost": "been lost"}


def submit(home: Home, parts: dict[str, Any]) -> int:
    """Freeze a spec, write its run directory, then its row, and see that a dispatcher runs; the run's id.

    Raises:
        QueueError: A run in ``after`` does not exist, or it has ended so that this one would never start.
    """
    with closing(connect(home.runs_db)) as conn:
        for parent in parts.get("after") or ():
            _check_parent(conn, home, parent, bool(parts.get("after_any")))
        parts = in_environment(home, parts)
        run_id = store.allocate(home)
        own_key = str((parts.get("server") or {}).get("key_env"))
        spec = freeze({"id": run_id, **parts}, key_names(home.config) | {own_key})
        try:
            store.create(home, run_id, spec)
            with immediate(conn):
                insert_row(conn, run_id, spec, home.run_dir(run_id))
                bump(conn, "runs")
        except (OSError, sqlite3.Error):
            # Whoever is told that it was not queued gives it again: it must not run all the same.
            _take_back(home, run_id)
            raise
    if not spec.get("held"):
        start_dispatcher(home)
    return run_id


def _take_back(home: Home, run_id: int) -> None:
    """Nobody else has it: without a row it is not in the queue, and what finds its directory takes the run's lock."""
    folder = home.run_dir(run_id)
    with suppress(OSError):
        (folder / "spec.json").unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _check_parent(conn: sqlite3.Connection, home: Home, parent: int, any_end: bool) -> None:
    ingest(conn, home, parent)
    run = need(conn, parent)
    if run.is_over and run.state != "done" and not any_end:
        hint = f"`fada retry {parent}` first, or start it on any end with --after-any {parent}"
        raise QueueError(f"run #{parent} has {_ENDED[run.state]}, so nothing starts after it", hint=hint)


def need(conn: sqlite3.Connection, run_id: int) -> Run:
    """The run, or a QueueError that says there is none."""
    run = get_run(conn, run_id)
    if run is None:
        raise QueueError(f"there is no run #{run_id}", hint="`fada jobs` lists them")
    return run
