"""Shared fixtures: a HOME of one's own, whose processes are ended with the test; a tiny real model and its data."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

import backends  # noqa: F401 - before a test module's own transformers
from db.connect import connect
from db.home import Home
from db.migrate import migrate
from tests.hub_server import HubServer, hub
from tests.servers.llama import llama_server as llama_server
from tests.servers.slurm import slurm_cluster as slurm_cluster
from tests.servers.sshd import login_host as login_host
from tests.servers.systemd import systemd_machine as systemd_machine

# No test depends on the clock; what CI runs is the same each time, and other runs keep searching.
settings.register_profile("search", deadline=None)
settings.register_profile("repeat", deadline=None, derandomize=True)
settings.load_profile("repeat" if os.environ.get("CI") else "search")

# Under nohup it is ignored, and so by every process that a test starts and hangs up.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test is remembered by its own name: xdist adds its group, and `--last-failed` would find none and run all."""
    if hasattr(report, "node"):  # in the process that hears of all workers; a worker itself compares the names
        report.nodeid = re.sub(r"@[\w-]+$", "", report.nodeid)


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


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub of the test's own, an empty cache, and no token."""
    from huggingface_hub import constants

    with hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        # Read once by the library, when it was imported.
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny LLaVA with a tokenizer trained on the phantoms' texts. Not to be written to."""
    from backends.models.tiny import build_tiny
    from backends.work.phantoms import answers_corpus

    return build_tiny(tmp_path_factory.mktemp("tiny") / "base", answers_corpus(), seed=0)


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """12 training, 2 validation and 6 test images, four questions each. Not to be written to."""
    from backends.work.phantoms import make_phantoms

    return dict(make_phantoms(tmp_path_factory.mktemp("phantoms") / "set", train=12, val=2, test=6, seed=0))


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
