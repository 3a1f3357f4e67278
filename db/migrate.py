"""Versioned migrations, run by the panel and the command only (a job checks and says so).

sqlite_utils is imported inside the functions: it pulls in numpy and pandas where it finds them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from db.connect import SchemaTooOld, connect, immediate, user_version
from db.home import Home

if TYPE_CHECKING:
    import sqlite_utils

Migration = Callable[["sqlite_utils.Database"], None]


class SchemaTooNew(Exception):
    """The database was written by a newer version of this program."""


def _plans(home: Home) -> list[tuple[Path, Sequence[Migration]]]:
    from db.runs.schema import MIGRATIONS as RUNS
    from db.tracker.schema import MIGRATIONS as TRACKER

    return [(home.fada_db, TRACKER), (home.runs_db, RUNS)]


def needs_migration(home: Home) -> bool:
    """True where a database is absent or behind. Imports nothing heavy."""
    for path, steps in _plans(home):
        if not path.exists():
            return True
        conn = connect(path, read_only=True)
        try:
            if user_version(conn) < len(steps):
                return True
        finally:
            conn.close()
    return False


def needs_preparing(home: Home) -> bool:
    """True where a database is absent or behind, or the tracker has no note yet."""
    if needs_migration(home):
        return True
    conn = connect(home.fada_db, read_only=True)
    try:
        return conn.execute("SELECT 1 FROM notes LIMIT 1").fetchone() is None
    finally:
        conn.close()


def migrate(home: Home) -> None:
    """Bring both databases up to date, each in one ``BEGIN IMMEDIATE``.

    Raises:
        SchemaTooNew: A database comes from a newer version; it is left as it is.
    """
    for path, steps in _plans(home):
        conn = connect(path)
        try:
            _apply(conn, path, steps)
        finally:
            conn.close()


def _apply(conn: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> None:
    import sqlite_utils

    with immediate(conn):
        have = user_version(conn)
        if have > len(steps):
            raise SchemaTooNew(f"{path}: schema {have}, this program knows up to {len(steps)}; update fada-tui")
        database = sqlite_utils.Database(conn, execute_plugins=False)
        for step in steps[have:]:
            step(database)
        conn.execute(f"PRAGMA user_version = {len(steps)}")


def require_current(conn: sqlite3.Connection, steps: Sequence[Migration], path: Path) -> None:
    """For jobs, which never migrate.

    Raises:
        SchemaTooOld: Run any ``fada`` command once.
    """
    if user_version(conn) < len(steps):
        raise SchemaTooOld(f"{path}: schema {user_version(conn)}, {len(steps)} needed; run `fada jobs` once")
