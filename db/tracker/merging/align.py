"""Which line of one version of a note is which line of another: unchanged, changed, moved, gone or new."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from db.tracker.merging.lines import Key, Text, unique_keys

_SMALL = 1 << 20
"""Pairs of lines that a comparison by difflib may look at: it is quadratic where lines repeat."""
_FEW = 400
_ALIKE = 0.6
_MOVABLE = ("row", "item")

Gap = tuple[int, int, int, int]
"""Lines [i, j) of one version against [k, l) of another."""


@dataclass(frozen=True)
class Alignment:
    """``places``: for each line of the base its line in the other version, None where it is gone.

    ``sources``: for each line of that version its line of the base, None where it is new. Both rise together but for
    the lines of the base in ``moved``.
    """

    places: list[int | None]
    sources: list[int | None]
    moved: frozenset[int]


def align(base: Text, side: Text) -> Alignment:
    """Pair equal lines, then those that are about the same thing, then alike ones; what is left may have moved."""
    pairs = common(base.lines, side.lines)
    pairs = [
        *pairs,
        *(pair for gap in _gaps(pairs, len(base.lines), len(side.lines)) for pair in _alike(base, side, gap)),
    ]
    places: list[int | None] = [None] * len(base.lines)
    sources: list[int | None] = [None] * len(side.lines)
    for i, k in pairs:
        places[i], sources[k] = k, i
    moved = []
    gone = [i for i, place in enumerate(places) if place is None]
    new = [k for k, source in enumerate(sources) if source is None]
    if gone and new:
        landed = unique_keys([side.key(k) for k in new])
        for key, at in unique_keys([base.key(i) for i in gone]).items():
            if key[0] in _MOVABLE and key in landed:
                i, k = gone[at], new[landed[key]]
                places[i], sources[k] = k, i
                moved.append(i)
    return Alignment(places, sources, frozenset(moved))


def common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Index pairs of equal elements, rising on both sides: what is there once on each side holds the rest in place.

    Near linear for long texts, unlike difflib alone where lines repeat.
    """
    pairs: list[tuple[int, int]] = []
    stack: list[Gap] = [(0, len(a), 0, len(b))]
    while stack:
        i, j, k, l = stack.pop()  # noqa: E741
        while i < j and k < l and a[i] == b[k]:
            pairs.append((i, k))
            i, k = i + 1, k + 1
        while i < j and k < l and a[j - 1] == b[l - 1]:
            j, l = j - 1, l - 1  # noqa: E741
            pairs.append((j, l))
        if i == j or k == l:
            continue
        anchors = _anchors(a, b, (i, j, k, l))
        if anchors:
            pairs += anchors
            stack += _between(anchors, (i, j, k, l))
        elif (j - i) * (l - k) <= _SMALL:
            blocks = SequenceMatcher(None, a[i:j], b[k:l], autojunk=False).get_matching_blocks()
            pairs += [(i + block.a + n, k + block.b + n) for block in blocks for n in range(block.size)]
    return sorted(pairs)


def _anchors(a: Sequence[Hashable], b: Sequence[Hashable], gap: Gap) -> list[tuple[int, int]]:
    """The longest rising chain of elements that are there once on each side of the gap."""
    i, j, k, l = gap  # noqa: E741
    here, there = Counter(a[i:j]), Counter(b[k:l])
    place = {b[at]: at for at in range(k, l) if there[b[at]] == 1}
    candidates = [(at, place[a[at]]) for at in range(i, j) if here[a[at]] == 1 and a[at] in place]
    ends: list[int] = []
    chain: list[int] = []
    before: list[int] = []
    for index, (_, at) in enumerate(candidates):
        length = bisect_left(ends, at)
        before.append(chain[length - 1] if length else -1)
        if length == len(ends):
            ends.append(at)
            chain.append(index)
        else:
            ends[length], chain[length] = at, index
    result = []
    index = chain[-1] if chain else -1
    while index >= 0:
        result.append(candidates[index])
        index = before[index]
    return result[::-1]


def _gaps(pairs: Sequence[tuple[int, int]], length: int, other: int) -> Iterator[Gap]:
    return _between(pairs, (0, length, 0, other))


def _between(pairs: Sequence[tuple[int, int]], gap: Gap) -> Iterator[Gap]:
    """What lies between rising pairs, where neither side is empty."""
    i, j, k, l = gap  # noqa: E741
    for at, place in (*pairs, (j, l)):
        if at > i and place > k:
            yield (i, at, k, place)
        i, k = at + 1, place + 1


def _alike(base: Text, side: Text, gap: Gap) -> list[tuple[int, int]]:
    i, j, k, l = gap  # noqa: E741
    keys, others = [base.key(at) for at in range(i, j)], [side.key(at) for at in range(k, l)]
    pairs = common(keys, others)
    for p, q, r, s in list(_gaps(pairs, len(keys), len(others))):
        if (q - p) * (s - r) > _FEW:
            continue
        first = r
        for at in range(p, q):
            for place in range(first, s):
                if _resemble(base, i + at, keys[at], side, k + place, others[place]):
                    pairs.append((at, place))
                    first = place + 1
                    break
    return [(i + at, k + place) for at, place in pairs]


def _resemble(base: Text, at: int, key: Key, side: Text, place: int, other: Key) -> bool:
    if key[0] != other[0]:
        return False
    if key[0] == "row":
        return _renamed(base, at, side, place)
    if key[0] in ("header", "delimiter"):
        return True
    return bool(key[1]) and SequenceMatcher(None, key[1], other[1], autojunk=False).ratio() >= _ALIKE


def _renamed(base: Text, at: int, side: Text, place: int) -> bool:
    """Two rows with other names and all else the same, and enough of it: a change to one is meant for the other."""
    was = [cell.strip() for cell in base.row(at).cells]
    now = [cell.strip() for cell in side.row(place).cells]
    if len(was) != len(now):
        return False
    same = [a for a, b in zip(was, now, strict=True) if a == b]
    return len(same) == len(was) - 1 and sum(bool(text.strip("-")) for text in same) >= 2
