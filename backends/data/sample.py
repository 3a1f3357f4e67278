"""One question about one image, with its reference answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """``id`` is the image path, ``#``, and the question's topic (with an ordinal where a topic repeats)."""

    id: str
    image_path: str
    """As in the data file: relative to the image root."""
    image_file: Path
    """Where it lies on this machine."""
    category: str | None
    """First folder of ``image_path``, or None."""
    question: str
    topic: str
    """``Q1``…``Q8`` where it is one of FADA's eight, else the text before the first colon, else the whole text."""
    reference: str
    system: str | None = None
    problem: str | None = None
    """Why the image is not to be read; ``image_file`` is then no image."""
    line: int | None = None
    """Line of the data file, from 1."""
