"""One question about one image, with its reference answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """``id`` is the image path, ``#``, and the question's topic (with an ordinal where a topic repeats)."""

    id: str
    image_path: str
    """As in the data file: relative to the image root. An image inside a table: data set, ``/``, hash of its bytes."""
    image_file: Path
    """Where it lies on this machine; for an image inside a table, the table."""
    category: str | None
    """First folder of ``image_path`` or a column of that name; of U2-BENCH the data set; or None."""
    question: str
    topic: str
    """``Q1``…``Q8`` where it is one of FADA's eight, a benchmark's task (``DD``, ``PI``…), else the text before the
    first colon, else the whole text."""
    reference: str
    """The right answer; empty where it follows from ``kind_data`` only (a sector from a box)."""
    system: str | None = None
    problem: str | None = None
    """Why the sample fails without being asked; ``image_file`` is then not to be read."""
    line: int | None = None
    """Line of the data file, from 1."""
    kind_data: Mapping[str, Any] | None = field(default=None, hash=False)
    """What only one kind of evaluation has; the reader of the format says which keys."""
