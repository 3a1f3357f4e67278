"""The answers on which two runs part, as their comparison left them. Read in a worker thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Parted:
    """One question that two runs answered otherwise. ``side`` is who is right: ``a``, ``b`` or ``neither``."""

    id: str
    question: str
    category: str | None
    side: str
    reference: str
    a: str | None
    b: str | None
    values: dict[str, tuple[float, float]]


def read_parted(path: Path) -> tuple[Parted, ...]:
    """All of a file.

    Raises:
        OSError: It is gone, as with the job that made it.
        ValueError: A line is no answer.
    """
    with open(path, "rb") as file:
        return tuple(_parted(json.loads(line)) for line in file)


def _parted(row: dict[str, Any]) -> Parted:
    return Parted(
        id=row["id"],
        question=row["question"],
        category=row["category"],
        side=row["side"],
        reference=row["reference"],
        a=row["a"],
        b=row["b"],
        values={metric: (one[0], one[1]) for metric, one in row["values"].items()},
    )
