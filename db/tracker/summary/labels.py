"""Which part of the note a label of a summary table speaks of, by the words that they share."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_IDLE = frozenset(("model", "vlm", "the", "and", "of", "for", "only", "option", "method"))
_TOTAL = frozenset(("total", "all", "sum", "overall", "altogether"))


@dataclass(frozen=True)
class Group:
    """Something that a label may name. ``near``: the words of its title; ``far``: those of the headings above too."""

    title: str
    near: frozenset[str]
    far: frozenset[str]
    members: frozenset[object]


@dataclass(frozen=True)
class Match:
    """``group`` is None where nothing fits, or several do: ``several`` are their titles."""

    group: Group | None
    several: tuple[str, ...] = ()


def group(title: str, members: Collection[object], above: Sequence[str] = ()) -> Group:
    """A part of the note by its title and the titles of the headings above it."""
    return Group(title, words(title), words(" ".join((*above, title))), frozenset(members))


def words(text: str) -> frozenset[str]:
    """The words that tell, in singular: ``Unsloth verified models`` is unsloth, verified."""
    found = (re.sub(r"(?<=\w{3})s$", "", word) for word in re.findall(r"[^\W_]+", text.casefold()))
    return frozenset(word for word in found if word not in _IDLE)


def is_total(label: str) -> bool:
    return bool(words(label) & _TOTAL)


def match_labels(labels: Sequence[str], groups: Sequence[Group]) -> dict[str, Match]:
    """The one group that each label names.

    A title that has all words of the label is meant; else a title that has them together with the headings above it;
    else the one that shares most of them, at least half, and every number. What fits several goes to the one that
    no other label names; where that leaves several, none is chosen.
    """
    candidates = {label: _candidates(words(label), groups) for label in labels}
    sure = {id(found[0]) for found in candidates.values() if len(found) == 1}
    matches = {}
    for label, found in candidates.items():
        left = found if len(found) <= 1 else [one for one in found if id(one) not in sure] or found
        matches[label] = Match(left[0]) if len(left) == 1 else Match(None, tuple(one.title for one in left))
    return matches


def _candidates(label: frozenset[str], groups: Sequence[Group]) -> list[Group]:
    if not label:
        return []
    for found in (
        [one for one in groups if one.near == label],
        [one for one in groups if label <= one.near],
        [one for one in groups if label <= one.far],
    ):
        if found:
            return _distinct(found)
    numbers = {word for word in label if word[0].isdigit()}
    shared = [(len(label & one.far), one) for one in groups if numbers <= one.far]
    most = max((count for count, _ in shared), default=0)
    return _distinct([one for count, one in shared if count == most]) if 2 * most >= len(label) else []


def _distinct(groups: Sequence[Group]) -> list[Group]:
    """A heading over a single section is that section."""
    return list({one.members: one for one in groups}.values())
