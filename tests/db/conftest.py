"""A migrated fada.db in memory, and the shipped note."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator

import pytest
import sqlite_utils

from db.tracker.importer import default_note, import_note
from db.tracker.schema import MIGRATIONS


def fresh_database() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.row_factory = sqlite3.Row
    conn.execute("PRAGMA foreign_keys=ON")
    database = sqlite_utils.Database(conn, execute_plugins=False)
    for step in MIGRATIONS:
        step(database)
    return conn


@pytest.fixture
def empty_db() -> Iterator[sqlite3.Connection]:
    conn = fresh_database()
    yield conn
    conn.close()


@pytest.fixture
def tracker_db(empty_db: sqlite3.Connection) -> sqlite3.Connection:
    """The shipped note, imported."""
    import_note(empty_db, default_note(), "default.md", "test")
    return empty_db


@pytest.fixture(scope="session")
def make_db() -> Callable[[], sqlite3.Connection]:
    """For property tests, which need a new database an example."""
    return fresh_database


@pytest.fixture
def at_flush(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something once, just after the next file was flushed and before it is renamed."""

    def arrange(action: Callable[[], object]) -> None:
        waiting, flush = [action], os.fsync

        def flushed(descriptor: int) -> None:
            flush(descriptor)
            if waiting:
                waiting.pop()()

        monkeypatch.setattr(os, "fsync", flushed)

    return arrange
