"""Opening SQLite the one way that several processes can share it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_TIMEOUT_S = 30.0


class SchemaTooOld(sqlite3.OperationalError):
    """The database's ``user_version`` is behind this program; the command or the panel migrates it."""


def connect(
    path: Path, *, read_only: bool = False, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """An autocommit connection (transactions are explicit), WAL, rows by name.

    Args:
        path: The database file; it is created (0600) unless ``read_only``.
        read_only: Refuse writes on this connection.
        factory: The class of the connection.

    Raises:
        sqlite3.OperationalError: The file cannot be opened.
    """
    if not read_only and not path.exists():
        path.touch(mode=0o600)
    conn = _open(path, "ro" if read_only else "rw", factory)
    if read_only and not _opens(conn):
        # WAL wants a file beside the database; where none can be made, what the database itself holds is read.
        conn.close()
        conn = _open(path, "ro&immutable=1", factory)
    if not read_only:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA journal_size_limit=16777216")
    conn.execute("PRAGMA synchronous=NORMAL")
    conn.execute("PRAGMA foreign_keys=ON")
    return conn


def _open(path: Path, mode: str, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
    conn = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
    )
    conn.row_factory = sqlite3.Row
    return conn


def _opens(conn: sqlite3.Connection) -> bool:
    """False where SQLite cannot make or map what it needs beside the file; what is wrong in it shows later."""
    try:
        conn.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorname.split("_")[1] not in ("CANTOPEN", "READONLY")
    except sqlite3.DatabaseError:
        return True
    return True


@contextmanager
def immediate(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One ``BEGIN IMMEDIATE`` … ``COMMIT``; rolled back when the block raises.

    Deferred transactions that read first fail at once under load (SQLITE_BUSY_SNAPSHOT).
    """
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield conn
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")


@contextmanager
def one_view(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Several reads of one state of the database; inside a transaction that is open, of that one."""
    if conn.in_transaction:
        yield conn
        return
    conn.execute("BEGIN")
    try:
        yield conn
    finally:
        conn.execute("COMMIT")


def data_version(conn: sqlite3.Connection) -> int:
    """Changes whenever another connection has committed (a few microseconds)."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


def user_version(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def bump(conn: sqlite3.Connection, *topics: str) -> None:
    """Raise the change counter of each topic, inside the writer's own transaction."""
    conn.executemany(
        "INSERT INTO changes(topic, counter) VALUES (?, 1) ON CONFLICT(topic) DO UPDATE SET counter = counter + 1",
        [(topic,) for topic in topics],
    )


def counters(conn: sqlite3.Connection) -> dict[str, int]:
    """Every topic's change counter: a pane whose topic stands still need not be redrawn."""
    return {row[0]: row[1] for row in conn.execute("SELECT topic, counter FROM changes")}
