"""Opening SQLite the one way that several processes can share it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from db.versions import KNOWN

BUSY_TIMEOUT_S = 30.0


class SchemaMismatch(sqlite3.OperationalError):
    """The database's ``user_version`` is not the one of this program."""


class SchemaTooOld(SchemaMismatch):
    """It is behind; the command or the panel migrates it."""


class SchemaTooNew(SchemaMismatch):
    """A newer version of this program has written it; this one leaves it alone."""


def connect(
    path: Path,
    *,
    read_only: bool = False,
    any_version: bool = False,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """An autocommit connection (transactions are explicit), WAL, rows by name.

    Args:
        path: The database file; it is created (0600) unless ``read_only``.
        read_only: Refuse writes on this connection.
        any_version: Open it also where it is one of a newer version: to look whether it is whole, or to lock it.
        factory: The class of the connection.

    Raises:
        SchemaTooNew: It is one of HOME's, of a newer version of this program.
        sqlite3.OperationalError: The file cannot be opened.
    """
    if not read_only and not path.exists():
        path.touch(mode=0o600)
    conn = _open(path, "ro" if read_only else "rw", factory)
    if read_only and not _opens(conn):
        # WAL wants a file beside the database; where none can be made, what the database itself holds is read.
        conn.close()
        conn = _open(path, "ro&immutable=1", factory)
    if not any_version:
        _refuse_newer(conn, path)
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


def _refuse_newer(conn: sqlite3.Connection, path: Path) -> None:
    """Before the first write: what it must be like is not known here."""
    known = KNOWN.get(path.name)
    try:
        have = user_version(conn)
    except sqlite3.DatabaseError:
        return  # what is wrong with it shows later
    if known is not None and have > known:
        conn.close()
        raise too_new(path, have, known)


def check_version(conn: sqlite3.Connection, known: int, path: Path) -> None:
    """For those who never migrate, and for those whose program may have been replaced under them.

    Raises:
        SchemaTooOld: Run any ``fada`` command once.
        SchemaTooNew: It is left to the newer version.
    """
    have = user_version(conn)
    if have > known:
        raise too_new(path, have, known)
    if have < known:
        raise SchemaTooOld(f"{path}: its schema ({have}) is older than this program ({known}); run `fada jobs` once")


def too_new(path: Path, have: int, known: int) -> SchemaTooNew:
    return SchemaTooNew(
        f"{path}: written by a newer version of fada-tui (schema {have}, this one knows {known}) and left as it is"
    )


def _opens(conn: sqlite3.Connection) -> bool:
    """False where SQLite cannot make or map what it needs beside the file; what is wrong in it shows later."""
    try:
        conn.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorname.split("_")[1] not in ("CANTOPEN", "READONLY", "IOERR", "FULL")
    except sqlite3.DatabaseError:
        return True
    return True


def is_damaged(path: Path) -> bool:
    """Whether there is a database that SQLite cannot read."""
    if not path.exists():
        return False
    try:
        with closing(connect(path, read_only=True, any_version=True)) as conn:
            return bool(conn.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.DatabaseError as error:
        return is_corruption(error)


def is_corruption(error: sqlite3.DatabaseError) -> bool:
    """Whether the error is one of the file's content."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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
