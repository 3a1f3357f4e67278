"""The columns of a table that two hands changed, and single cells: text apart from padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

Places = tuple[int | None, int | None, int | None]
"""A column's index in the base, in ours and in theirs; None where that version has no such column."""


@dataclass(frozen=True)
class Columns:
    """The columns of the merged table from left to right, with their names.

    ``dropped`` are those of the base that one side took out and the other still has: not among ``places``.
    """

    places: tuple[Places, ...]
    labels: tuple[str, ...]
    dropped: tuple[Places, ...]

    def is_layout_of(self, version: int, width: int) -> bool:
        """True where these are exactly the columns of one version (0 base, 1 ours, 2 theirs), in its order."""
        return self._layouts[version] == list(range(width))

    @cached_property
    def _layouts(self) -> list[list[int | None]]:
        return [[place[version] for place in self.places] for version in range(3)]


def merge_columns(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Columns:
    """By name, a renamed column by its place; new ones of both sides stay beside their left neighbours."""
    of_ours, of_theirs = _origins(base, ours), _origins(base, theirs)
    entries = {_identity(of_ours[at], ours[at]): (of_ours[at], at, None) for at in range(len(ours))}
    mine: dict[tuple[int, str], Places] = {}
    other: dict[tuple[int, str], Places] = {}
    for at, label in enumerate(theirs):
        identity = _identity(of_theirs[at], label)
        here = entries.get(identity)
        other[identity] = (of_theirs[at], here[1] if here else None, at)
    for identity, place in entries.items():
        mine[identity] = other.get(identity, place)
    # The side that changed its columns says the order; where both did, ours.
    first, second = (other, mine) if of_ours == list(range(len(base))) else (mine, other)
    order = list(first)
    left: tuple[int, str] | None = None
    for identity in second:
        if identity not in first:
            order.insert(order.index(left) + 1 if left in order else 0, identity)
        left = identity
    places = [(first.get(identity) or second[identity]) for identity in order]
    kept = [place for place in places if not _is_dropped(place)]
    return Columns(tuple(kept), _labels(kept, base, ours, theirs), tuple(filter(_is_dropped, places)))


def keep_dropped(columns: Columns, place: Places, base: Sequence[str]) -> Columns:
    """The same with a dropped column at its old place: after the nearest column of the base on its left."""
    old = place[0] or 0
    at = 1 + max(
        (index for index, other in enumerate(columns.places) if other[0] is not None and other[0] < old), default=-1
    )
    return Columns(
        (*columns.places[:at], place, *columns.places[at:]),
        (*columns.labels[:at], base[old], *columns.labels[at:]),
        tuple(other for other in columns.dropped if other != place),
    )


def _origins(base: Sequence[str], side: Sequence[str]) -> list[int | None]:
    """For each column of a side its index in the base."""
    found: list[int | None] = [base.index(label) if label in base else None for label in side]
    if len(base) == len(side):
        for at, origin in enumerate(found):
            if origin is None and at not in found:
                found[at] = at
    return found


def _identity(origin: int | None, label: str) -> tuple[int, str]:
    return (-1, label) if origin is None else (origin, "")


def _is_dropped(place: Places) -> bool:
    return place[0] is not None and None in place[1:]


def _labels(
    places: Sequence[Places], base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> tuple[str, ...]:
    result = []
    for b, o, t in places:
        names = [side[at] for side, at in ((base, b), (ours, o), (theirs, t)) if at is not None]
        result.append(next((name for name in names[1:] if name != names[0]), names[0]))
    return tuple(result)


def value(raw: str | None) -> str:
    """A cell's text without its padding; dashes under a header count as padding."""
    text = (raw or "").strip()
    return text.replace("-", "") + "-" if text and not text.strip("-:") and "-" in text else text


def merge_cell(base: str | None, ours: str | None, theirs: str | None) -> str | None:
    """The merged raw cell, None for a conflict; a version without the cell counts as an empty one.

    Text of one side goes into the room that the other gave the cell.
    """
    was, mine, other = value(base), value(ours), value(theirs)
    if mine == other:
        return _padding(base, ours, theirs)
    if mine == was:
        return _fit(theirs or "", ours, base)
    return _fit(ours or "", theirs, base) if other == was else None


def _padding(base: str | None, ours: str | None, theirs: str | None) -> str:
    if ours == base or theirs == base:
        chosen = theirs if ours == base else ours
        return base or "" if chosen is None else chosen
    return max((raw for raw in (ours, theirs) if raw is not None), key=lambda raw: (len(raw), raw), default=base or "")


def _fit(raw: str, room: str | None, base: str | None) -> str:
    """``raw`` as wide as ``room``, where the side that gave it changed the padding only."""
    text = raw.strip()
    if room is None or base is None or room == base or not room.strip():
        return raw
    if not room.strip("-: "):
        return room if value(raw) == value(room) else raw
    lead, trail = len(room) - len(room.lstrip()), len(room) - len(room.rstrip())
    free = len(room) - len(text)
    if lead > 1 and trail <= 1:
        return " " * max(1, free - trail) + text + " " * trail
    return " " * lead + text + " " * max(min(1, trail), free - lead)
