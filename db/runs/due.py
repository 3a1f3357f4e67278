"""Runs whose directory may say more than the index, though they are over: a tick looks at these as well.

Runs that are not over are looked at by every tick. To change the files of one that is over (labels, a resumption)
takes two commits, so that a kill between the file and the row leaves a note of what to look at again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from db.connect import immediate


def due_runs(conn: sqlite3.Connection) -> list[int]:
    return [row[0] for row in conn.execute("SELECT run FROM due ORDER BY run")]


def mark_due(conn: sqlite3.Connection, run_ids: Iterable[int]) -> None:
    """Note runs to look at. Call inside a transaction."""
    conn.executemany("INSERT OR IGNORE INTO due(run) VALUES (?)", [(run_id,) for run_id in run_ids])


def clear_due(conn: sqlite3.Connection, run_id: int) -> None:
    """The index is up to the directory. Call inside the transaction that made it so."""
    conn.execute("DELETE FROM due WHERE run = ?", (run_id,))


@contextmanager
def changing(conn: sqlite3.Connection, run_id: int) -> Iterator[sqlite3.Connection]:
    """One transaction for changing a run's files; whenever it is killed, the run is looked at again.

    Somebody else's tick may clear the note before the transaction begins: then it is made again.
    """
    while True:
        with immediate(conn):
            mark_due(conn, [run_id])
        with immediate(conn):
            if conn.execute("SELECT 1 FROM due WHERE run = ?", (run_id,)).fetchone() is None:
                continue
            yield conn
            return
