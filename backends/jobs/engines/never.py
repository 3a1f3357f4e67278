"""What can never start: the engine says that what a job waits for cannot happen any more."""

from __future__ import annotations

import sqlite3
from typing import Literal

from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.submission import withdraw
from backends.jobs.engines.tended import Patience, Tended
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import end_orphaned
from backends.jobs.store import change_control, read_control
from db.connect import immediate
from db.home import Home
from db.runs.queries import parents
from db.runs.states import END_STATES


def settle_never(
    home: Home, conn: sqlite3.Connection, engine: Slurm, run: Tended, patience: Patience
) -> Literal["waits", "cancelled", "again"]:
    """See what is to become of such a run.

    What a parent's own end says goes before the engine's words. Where a parent of ours goes on all the same (a second
    attempt, which is another job), it is handed on anew.
    """
    end_orphaned(conn, home)
    if read_control(run.folder).cancel is not None:
        return "cancelled"
    if all(state in END_STATES for _, _, state in parents(conn, run.run)):
        with immediate(conn):
            said = f"can never start: {engine.name} says that what it waits for did not succeed"
            change_control(run.folder, cancel=said)
        return "cancelled"
    # A parent's end may be taken in a little later than the engine tells of it.
    if not patience.over("never", run.run, 2 * engine.settings.poll_s + engine.settings.settle_s):
        return "waits"
    patience.forget(run.run, "never")
    withdraw(run.folder)
    ingest(conn, home, run.run)
    return "again"
