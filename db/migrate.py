"""Versioned migrations, run by the panel and the command only (a job checks and says so).

sqlite_utils is imported inside the functions: it pulls in numpy and pandas where it finds them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.connect import check_version, connect, immediate, too_new, user_version
from db.home import Home
from db.versions import KNOWN

if TYPE_CHECKING:
    import sqlite_utils

Migration = Callable[["sqlite_utils.Database"], None]


@dataclass(frozen=True)
class _Plan:
    """``after`` runs once in the same transaction when any step was taken."""

    path: Path
    steps: Sequence[Migration]
    after: Callable[[sqlite3.Connection], None] | None = None


def _plans(home: Home) -> list[_Plan]:
    from db.runs.schema import MIGRATIONS as RUNS
    from db.tracker.schema import MIGRATIONS as TRACKER
    from db.tracker.schema import refresh

    return [_Plan(home.fada_db, TRACKER, refresh), _Plan(home.runs_db, RUNS)]


def needs_migration(home: Home) -> bool:
    """True where a database is absent or behind. Imports nothing heavy.

    Raises:
        SchemaTooNew: A database comes from a newer version.
    """
    return any(behind(plan.path) for plan in _plans(home))


def behind(path: Path) -> bool:
    """True where one of HOME's databases is absent, or of an earlier version."""
    if not path.exists():
        return True
    with closing(connect(path, read_only=True)) as conn:
        return user_version(conn) < KNOWN[path.name]


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
    for plan in _plans(home):
        conn = connect(plan.path)
        try:
            _apply(conn, plan)
        finally:
            conn.close()


def _apply(conn: sqlite3.Connection, plan: _Plan) -> None:
    import sqlite_utils

    latest = len(plan.steps)
    with immediate(conn):
        have = user_version(conn)
        if have > latest:
            raise too_new(plan.path, have, latest)
        database = sqlite_utils.Database(conn, execute_plugins=False)
        for step in plan.steps[have:]:
            step(database)
        if have < latest and plan.after is not None:
            plan.after(conn)
        conn.execute(f"PRAGMA user_version = {latest}")


def require_current(conn: sqlite3.Connection, steps: Sequence[Migration], path: Path) -> None:
    """For jobs, which never migrate.

    Raises:
        SchemaTooOld: Run any ``fada`` command once.
        SchemaTooNew: This program was replaced by a newer one.
    """
    check_version(conn, len(steps), path)
