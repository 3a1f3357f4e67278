from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The tiny checkpoint of an architecture, made once. Not to be written to."""
    from tests.backends.models.conformance.tiny.checkpoint import build

    folder = tmp_path_factory.mktemp("architectures")
    made: dict[str, Path] = {}

    def get(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = build(architecture, folder / architecture)
        return made[architecture]

    return get
