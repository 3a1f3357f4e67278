"""What waits in the queue: which runs may start here, and why the others do not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from db.connect import bump, immediate
from db.runs.queries import SELECT_RUN, runs_in_state, runs_of
from db.runs.rows import Run
from db.runs.states import ACTIVE_STATES, WAITING_STATES

_READY = """state = 'queued' AND engine IS NULL AND id NOT IN (SELECT d.run FROM dependencies d
LEFT JOIN runs p ON p.id = d.parent
WHERE p.state IS NULL OR p.state IN ('queued','held','starting','running','paused'))"""


def ready_here(conn: sqlite3.Connection, limit: int) -> list[Run]:
    """The first of the runs that wait for this machine and for no other run, in queue order."""
    return runs_of(
        conn, conn.execute(f"{SELECT_RUN} WHERE {_READY} ORDER BY position, id LIMIT ?", (limit,)).fetchall()
    )


def ready_later(conn: sqlite3.Connection, last: Run, most_bytes: int, limit: int) -> list[Run]:
    """Of those behind ``last`` the first that take no more memory than that and share the machine, or only download."""
    rows = conn.execute(
        f"{SELECT_RUN} WHERE {_READY} AND (position, id) > (?, ?) "
        "AND (task = 'download' OR (exclusive = 0 AND coalesce(reserved_bytes, 0) <= ?)) "
        "ORDER BY position, id LIMIT ?",
        (last.position, last.id, most_bytes, limit),
    ).fetchall()
    return runs_of(conn, rows)


def say_of_later(conn: sqlite3.Connection, last: Run, reason: str) -> None:
    """Why those behind ``last`` wait that wait for no other run; a transaction only where that has changed."""
    where = f"{_READY} AND (position, id) > (?, ?) AND reason IS NOT ?"
    values = (last.position, last.id, reason)
    if conn.execute(f"SELECT 1 FROM runs WHERE {where} LIMIT 1", values).fetchone() is None:
        return
    with immediate(conn):
        conn.execute(f"UPDATE runs SET reason = ? WHERE {where}", (reason, *values))
        bump(conn, "runs")


def reasons_of_dependants(conn: sqlite3.Connection) -> dict[int, str | None]:
    """Why each run waits on this machine that waits for others, or has."""
    rows = conn.execute(
        "SELECT id, reason FROM runs WHERE state = 'queued' AND engine IS NULL AND id IN (SELECT run FROM dependencies)"
    )
    return {row[0]: row[1] for row in rows}


def unfinished_runs(conn: sqlite3.Connection, known: Iterable[Run] | None = None) -> list[tuple[Run, bool]]:
    """Runs that are not over, in queue order, and whether each needs the machine alone.

    Args:
        known: Those runs, where they were read already.
    """
    if known is None:
        runs = runs_in_state(conn, *WAITING_STATES, *ACTIVE_STATES)
    else:
        runs = sorted(known, key=lambda run: (run.position, run.id))
    marks = ",".join("?" * len((*WAITING_STATES, *ACTIVE_STATES)))
    alone = {
        row[0]
        for row in conn.execute(
            f"SELECT id FROM runs WHERE exclusive = 1 AND state IN ({marks})", (*WAITING_STATES, *ACTIVE_STATES)
        )
    }
    return [(run, run.id in alone) for run in runs]
