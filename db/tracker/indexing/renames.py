"""Which models of a new note are likely old ones under another name. Only said, never acted on."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from db.tracker.reading.document import role_of
from db.tracker.reading.links import key_of

_ALIKE = 0.8
_Cells = frozenset[tuple[str, str]]
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Seen(NamedTuple):
    """A model of a note with the texts of its cells by column name."""

    name: str
    columns: dict[str, str]


def likely_renames(before: Sequence[Seen], now: Sequence[Seen]) -> list[tuple[str, str]]:
    """Pairs of a name that is gone and a name that is new, in the order of the new note; each name at most once.

    A pair has the same cells otherwise, which no other model that is gone or new has; or it stands at the same place
    between models that stayed, and the names are nearly the same.
    """
    old_names, new_names = {seen.name for seen in before}, {seen.name for seen in now}
    gone = [seen for seen in before if seen.name not in new_names]
    new = [seen for seen in now if seen.name not in old_names]
    was_cells, was_places = _once(gone), _places(before, new_names)
    is_cells, is_places = _once(new), _places(now, old_names)
    by_cells = {is_cells[cells]: name for cells, name in was_cells.items() if cells in is_cells}
    by_place = {is_places[place]: name for place, name in was_places.items() if place in is_places}
    pairs: list[tuple[str, str]] = []
    taken = set(by_cells.values())
    for seen in new:
        old = by_cells.get(seen.name)
        if old is None:
            old = by_place.get(seen.name)
            if old is None or old in taken or not _nearly_the_same(old, seen.name):
                continue
        taken.add(old)
        pairs.append((old, seen.name))
    return pairs


def _once(rows: Sequence[Seen]) -> dict[_Cells, str]:
    """The name by the cells, for cells that say something and that only one row has."""
    names: dict[_Cells, list[str]] = defaultdict(list)
    for row in rows:
        cells = frozenset((column, text) for column, text in row.columns.items() if role_of(column) != "model")
        if any(text.strip(" -") and role_of(column) != "status" for column, text in cells):
            names[cells].append(row.name)
    return {cells: found[0] for cells, found in names.items() if len(found) == 1}


def _places(rows: Sequence[Seen], others: set[str]) -> dict[tuple[str | None, int], str]:
    """The names that the other note has not, by the last common name above each and the distance from it."""
    places: dict[tuple[str | None, int], str] = {}
    above, distance = None, 0
    for row in rows:
        if row.name in others:
            above, distance = row.name, 0
        else:
            distance += 1
            places[above, distance] = row.name
    return places


def _nearly_the_same(one: str, other: str) -> bool:
    """Another number is another model: Qwen3-VL-2B is not Qwen3-VL-4B."""
    first, second = key_of(one), key_of(other)
    if set(_NUMBER.findall(first)) != set(_NUMBER.findall(second)):
        return False
    return first in second or second in first or SequenceMatcher(None, first, second).ratio() >= _ALIKE
