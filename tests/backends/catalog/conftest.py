"""A checkpoint folder with the files of a real one, small enough to write by hand."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.catalog import available


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    """The bytes of a safetensors file of float32 zeros."""
    header, start = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(start)


@pytest.fixture
def checkpoint() -> Callable[[Path], Path]:
    """Writes a whole checkpoint into a folder."""

    def write(folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "llava"}')
        (folder / "processor_config.json").write_text("{}")
        (folder / "tokenizer.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(safetensors({"a.weight": [4, 4]}))
        return folder

    return write


@pytest.fixture(autouse=True)
def without_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said where that package is not installed, whether or not it is here."""
    real = available.find_spec
    monkeypatch.setattr(available, "find_spec", lambda name: None if name == "open_clip" else real(name))
