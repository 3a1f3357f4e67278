"""Deleting a finished run: never what others need, nothing that looks whole after a kill, and also on a full disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from backends.jobs.disk import discard, no_room, set_aside
from backends.jobs.errors import QueueConflict, QueueError
from backends.jobs.ingest import forget, ingest
from backends.jobs.inputs import users_of
from backends.jobs.state import derive
from backends.jobs.submit import need
from db.connect import bump, connect
from db.home import Home
from db.runs.due import changing
from db.runs.states import END_STATES

MIB = 1 << 20


def remove(home: Home, run_id: int, force: bool = False) -> list[str]:
    """Delete a finished run and its directory; its id is not used again.

    Raises:
        QueueConflict: Other runs were made from it, so they could not be repeated; ``force`` removes it all the same.
        QueueError: It is not over, or a run that is not over needs it.
    """
    try:
        return _remove(home, run_id, force)
    except (sqlite3.OperationalError, OSError) as error:
        if not no_room(error, home):
            raise
    # The index cannot be written, and what would make room is this: first the files, then what stands of them.
    with closing(connect(home.runs_db, read_only=True)) as conn:
        run = need(conn, run_id)
        if derive(home.run_dir(run_id)).name not in END_STATES:
            raise QueueError(f"run #{run_id} is {run.state}", hint=f"end it first: `fada cancel {run_id}`")
        _check_unneeded(conn, home, run_id, force)
    freed = discard(set_aside(home.run_dir(run_id)))
    try:
        _remove(home, run_id, force=True)
    except (sqlite3.OperationalError, OSError):
        return [
            f"#{run_id}: its files were removed, {freed / MIB:.1f} MiB freed; it is listed until there is more room"
        ]
    return [f"#{run_id} removed, {freed / MIB:.1f} MiB freed"]


def _remove(home: Home, run_id: int, force: bool) -> list[str]:
    """See :func:`remove`."""
    with closing(connect(home.runs_db)) as conn:
        ingest(conn, home, run_id)
        run = need(conn, run_id)
        if not run.is_over:
            raise QueueError(f"run #{run_id} is {run.state}", hint=f"end it first: `fada cancel {run_id}`")
        folder = home.run_dir(run_id)
        # What is looked at and the removal are one step: nobody can resume it, or queue what needs it, in between.
        # In two commits, so that whoever comes after a kill looks at a run whose directory is gone.
        with changing(conn, run_id):
            _check_unneeded(conn, home, run_id, force)
            # What a kill leaves half removed must not look like a run that has yet to start.
            aside = set_aside(folder) if folder.is_dir() else None
            forget(conn, run_id)
            conn.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            bump(conn, "runs", "scores")
    freed = discard(aside) if aside is not None else 0
    return [f"#{run_id} removed, {freed / MIB:.1f} MiB freed"]


def _check_unneeded(conn: sqlite3.Connection, home: Home, run_id: int, force: bool) -> None:
    """See :func:`remove`."""
    run = need(conn, run_id)
    if not run.is_over or derive(home.run_dir(run_id)).name not in END_STATES:
        raise QueueError(f"run #{run_id} is not over", hint=f"end it first: `fada cancel {run_id}`")
    rows = conn.execute(
        "SELECT d.run FROM dependencies d JOIN runs r ON r.id = d.run WHERE d.parent = ? AND r.state IN "
        "('queued', 'held')",
        (run_id,),
    )
    waiting = [row[0] for row in rows]
    if waiting:
        raise QueueError(f"run #{run_id} is waited for by #{waiting[0]}", hint=f"`fada cancel {waiting[0]}` first")
    live, over = users_of(conn, home, run_id)
    if live:
        raise QueueError(f"run #{run_id} is needed by #{live[0]}", hint=f"end it first: `fada cancel {live[0]}`")
    if over and not force:
        names = ", ".join(f"#{one}" for one in over)
        raise QueueConflict(
            f"{names} used what run #{run_id} left and could not be repeated without it",
            hint=f"`fada rm {run_id} --force` removes it all the same",
        )
