from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from db.home import Home
from fada_tui.cli.context import Context

Until = Callable[[Pilot[str], Callable[[], object]], Awaitable[None]]


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated HOME with the shipped note, made once."""
    root = tmp_path_factory.mktemp("home")
    Context(Home(root)).prepare()
    return root


@pytest.fixture
def panel_home(fresh_home: Path, tmp_path: Path) -> Home:
    """A copy of it that a test may change."""
    return Home(Path(shutil.copytree(fresh_home, tmp_path / "home")))


@pytest.fixture
def until() -> Until:
    """Wait, letting the app work, until something is so."""

    async def wait(pilot: Pilot[str], condition: Callable[[], object]) -> None:
        for _ in range(600):
            if condition():
                return
            await pilot.pause(0.05)
        raise AssertionError("it never came to be so")

    return wait
