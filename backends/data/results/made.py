"""What a folder of results made elsewhere holds, whichever program wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.records import open_data_file

LISTED = 20
"""Lines that are named among the warnings; all are counted."""
FAILED = "ERROR"
"""FADA stores a failure as text that starts so; it was never an answer."""


@dataclass(frozen=True)
class MadeAnswer:
    """One answer. ``prediction`` is None where there is none; ``error`` then says why."""

    image_path: str
    category: str | None
    question: str
    topic: str
    prediction: str | None
    error: str | None = None
    reference: str | None = None
    latency_s: float | None = None
    output_tokens: int | None = None


@dataclass(frozen=True)
class Stated:
    """A score as the other program states it, on 0..1 where it is a share. ``n`` only where it is said."""

    metric: str
    value: float
    question: str | None = None
    category: str | None = None
    n: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Point:
    """One value of a training curve."""

    name: str
    step: int
    value: float


@dataclass
class Made:
    """Results as they were found; ``path`` is what was given, ``files`` what was read of it."""

    format: str
    path: Path
    model: str | None = None
    files: list[Path] = field(default_factory=list)
    answers: list[MadeAnswer] = field(default_factory=list)
    stated: list[Stated] = field(default_factory=list)
    curve: list[Point] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)
    """What the other program says of how they were made."""
    warnings: list[str] = field(default_factory=list)


class Faults:
    """Keeps what is wrong with single lines: named up to :data:`LISTED`, counted beyond."""

    def __init__(self) -> None:
        self.count = 0
        self.texts: list[str] = []

    def __call__(self, error: DataError) -> None:
        self.count += 1
        if self.count <= LISTED:
            self.texts.append(str(error))

    def warnings(self) -> list[str]:
        """A sentence for each line that is no answer, then the number of the rest."""
        more = self.count - len(self.texts)
        named = [f"not imported: {text}" for text in self.texts]
        return [*named, f"not imported: {more} more lines"] if more else named


def said(text: Any, failures: Sequence[str] = (FAILED,)) -> tuple[str | None, str | None]:
    """``(prediction, error)`` of what stands where the answer should: a failure is never an answer."""
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return None, "no prediction in the file"
    words = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    if words.lstrip().startswith(tuple(failures)):
        return None, words.strip()
    return words, None


def text_or_none(value: Any) -> str | None:
    """A text that says something, or None; numbers and lists as their JSON."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return words if words.strip() else None


def number(value: Any) -> float | None:
    """A finite number, or None; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def count(value: Any) -> int | None:
    """A whole number from 0 on, or None."""
    found = number(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def read_document(path: Path) -> Any:
    """A JSON file whole.

    Raises:
        DataError: it cannot be opened or is no JSON.
    """
    with open_data_file(path) as file:
        try:
            return json.loads(file.read())
        except (ValueError, RecursionError) as error:
            line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            hint = "mend the file, or take it out of the folder"
            raise DataError(f"not JSON ({error})", f"{path}{line}", hint) from error


def keep_last(answers: Iterable[MadeAnswer]) -> tuple[list[MadeAnswer], int]:
    """Answers to the same question about the same image once, the last; and how many were replaced."""
    kept: dict[tuple[str, str], MadeAnswer] = {}
    replaced = 0
    for answer in answers:
        key = (answer.image_path, answer.question)
        replaced += key in kept
        kept[key] = answer
    return list(kept.values()), replaced
