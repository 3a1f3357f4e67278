from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.home import Home
from fada_tui.cli.context import Context
from tests.backends.models.conformance.conftest import checkpoint as checkpoint
from tests.conftest import end_processes


@pytest.fixture
def card_home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    Context(home).prepare()
    yield home
    end_processes(home)
