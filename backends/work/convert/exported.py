"""What an exporter has left, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.models.base import VisionLanguageModel
from backends.scoring.answer import Answer

Open = Callable[[], Iterator[VisionLanguageModel]]
"""Yields the model once and lets it go afterwards."""


@dataclass(frozen=True)
class Exported:
    """``files`` are the export, the main one first; ``open`` is None where it cannot be run here, for ``why_not``."""

    files: tuple[Path, ...]
    open: Open | None
    why_not: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For the run's summary."""
    one_tile: Sequence[Answer] | None = None
    """The original's answers without tiles, where the export sees none and the original does."""
    margins: tuple[str, str] = ("", "")
    """What the original's processor writes before and after an image, and whoever asks the export does not."""


def bytes_of(path: Path) -> int:
    """Of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def weights_bytes(folder: Path) -> int:
    """Of a checkpoint's weights alone."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
