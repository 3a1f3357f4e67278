"""Sorting models by any column: numbers as numbers, the status by its ladder, what is missing last both ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from db.tracker.rows import STATUS_LADDER, Model

NAME, SIZE, VRAM, STATUS, SCORE, RUNS, NOTES = "Name", "Size", "VRAM", "Status", "Score", "Runs", "Notes"
FIXED = (NAME, SIZE, VRAM, STATUS, SCORE, RUNS, NOTES)
"""Columns that every tracker has; the others are the note's own."""
_HIGHEST_FIRST = (SCORE, RUNS)
_MISSING = frozenset({"", "-", "–", "—", "n/a", "?"})
_NUMBER = re.compile(r"[~≈<>≤≥$*\s]*(\d[\d,]*(?:\.\d+)?)(?:\s*([KMBGT])i?B?\b)?", re.IGNORECASE)
_SCALE = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
_DIGITS = re.compile(r"(\d+)")

Key = tuple[object, ...]
KeyOf = Callable[[Model], tuple[int, Key] | None]
"""The group (0 first, both ways) and the key inside it; None where there is nothing to sort by."""


@dataclass(frozen=True)
class Order:
    """By which column; no column is the note's own order. ``flat``: as one list, without sections."""

    column: str = ""
    reverse: bool = False
    flat: bool = False

    @classmethod
    def by(cls, column: str, *, flat: bool = False) -> Order:
        """The column's usual direction: the best score and the newest run first, all else from the smallest."""
        return cls(column, column in _HIGHEST_FIRST, flat)

    def reversed(self) -> Order:
        return replace(self, reverse=not self.reverse)

    @property
    def text(self) -> str:
        """``by VRAM ↓``, or nothing for the note's own order."""
        if not self.column:
            return "one list" if self.flat else ""
        return f"by {self.column} {'↓' if self.reverse else '↑'}"


NOTE_ORDER = Order()


@dataclass(frozen=True)
class Known:
    """What is known of a model beyond its row.

    Args:
        score: The kind's rank (0 the most telling) and the value of the best score.
        newest_run: The number of the newest run.
    """

    score: Callable[[Model], tuple[int, float] | None]
    newest_run: Callable[[Model], int | None]


def sort_models(models: Iterable[Model], order: Order, known: Known | None = None) -> list[Model]:
    """The models in that order; equals, and those with nothing in the column, as they stood."""
    if not order.column:
        return list(models)[:: -1 if order.reverse else 1]
    key_of = _key_of(order.column, known)
    groups: dict[int, list[tuple[Key, Model]]] = {}
    missing: list[Model] = []
    for model in models:
        found = key_of(model)
        if found is None:
            missing.append(model)
        else:
            groups.setdefault(found[0], []).append((found[1], model))
    for group in groups.values():
        group.sort(key=_first, reverse=order.reverse)
    return [*(model for rank in sorted(groups) for _, model in groups[rank]), *missing]


def other_columns(models: Iterable[Model]) -> tuple[str, ...]:
    """The names of the columns that the note still has, but those of :data:`FIXED`, in the order they are met."""
    # Reads Markdown tables; a panel that nobody sorts in does without.
    from db.tracker.reading.document import role_of

    names: dict[str, None] = {}
    for model in models:
        if not model.absent:
            names.update(dict.fromkeys(model.columns))
    return tuple(name for name in names if role_of(name) is None)


def columns_offered(others: Sequence[str]) -> tuple[str, ...]:
    """What can be sorted by: those that every tracker has, then the note's own."""
    return (*FIXED, *(name for name in others if name not in FIXED))


def _first(pair: tuple[Key, Model]) -> Key:
    return pair[0]


def _key_of(column: str, known: Known | None) -> KeyOf:
    fixed: dict[str, KeyOf] = {
        NAME: lambda model: (0, natural(model.name)),
        SIZE: lambda model: _measure(model.size_b, model.sizes_b, model.size),
        VRAM: lambda model: _measure(model.vram_gb, model.vrams_gb, model.vram),
        STATUS: _by_ladder,
        NOTES: lambda model: _cell(model.notes),
    }
    if column in fixed:
        return fixed[column]
    if column == SCORE:
        return lambda model: _by_score(model, known)
    if column == RUNS:
        return lambda model: _by_run(model, known)
    return lambda model: _cell(model.columns.get(column))


def natural(text: str) -> Key:
    """``Model-2`` before ``Model-10``."""
    # Text and digits take turns, so that a place never holds a word in one name and a number in another. Numbers
    # compare by their length, then digit by digit: a cell may hold more digits than int() reads.
    parts = _DIGITS.split(text.casefold())
    return tuple((len(part.lstrip("0")), part.lstrip("0")) if at % 2 else part for at, part in enumerate(parts))


def _measure(value: float | None, values: Sequence[float], text: str | None) -> tuple[int, Key] | None:
    """A range stands where its first number does; words such as `Cloud` come after all numbers."""
    first = value if value is not None else values[0] if values else None
    if first is not None:
        return 0, (first,)
    return None if _is_missing(text) else (1, natural(text or ""))


def _by_ladder(model: Model) -> tuple[int, Key]:
    """The note's own words after the ladder."""
    if model.status in STATUS_LADDER:
        return 0, (STATUS_LADDER.index(model.status),)
    return 1, natural(model.status)


def _by_score(model: Model, known: Known | None) -> tuple[int, Key] | None:
    """Kinds are not comparable: each stays together, in either direction."""
    found = known.score(model) if known else None
    return None if found is None else (found[0], (found[1],))


def _by_run(model: Model, known: Known | None) -> tuple[int, Key] | None:
    found = known.newest_run(model) if known else None
    return None if found is None else (0, (found,))


def _cell(text: str | None) -> tuple[int, Key] | None:
    """Cells that begin with a number by it, then the others by their words."""
    if _is_missing(text):
        return None
    words = (text or "").strip("*_` ")
    match = _NUMBER.match(words)
    if match is None:
        return 1, natural(words)
    scale = _SCALE[match[2].upper()] if match[2] else 1.0
    return 0, (float(match[1].replace(",", "")) * scale, natural(words))


def _is_missing(text: str | None) -> bool:
    return text is None or text.strip() in _MISSING
