"""Shared fixtures: a HOME of one's own, whose processes are ended with the test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from db.connect import connect
from db.home import Home
from db.migrate import migrate


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may touch the user's own HOME or a hub."""
    monkeypatch.setenv("FADA_HOME", str(tmp_path / "default-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("FADA_EVENTS", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A migrated HOME without a note; whatever still runs on it is killed at the end."""
    made = Home(tmp_path / "home").ensure()
    migrate(made)
    yield made
    end_processes(made)


@pytest.fixture
def runs_conn(home: Home) -> Iterator[sqlite3.Connection]:
    with closing(connect(home.runs_db)) as conn:
        yield conn


def end_processes(home: Home) -> None:
    """Kill every process that was started for this HOME, dispatchers first so that nothing is started again."""
    mine = [
        process for process in psutil.process_iter(["cmdline"]) if str(home.root) in (process.info["cmdline"] or [])
    ]
    mine.sort(key=lambda process: "backends.jobs.dispatcher" not in process.info["cmdline"])
    for process in mine:
        try:
            below = process.children(recursive=True)
            for one in (process, *below):
                one.kill()
        except psutil.NoSuchProcess:
            continue
