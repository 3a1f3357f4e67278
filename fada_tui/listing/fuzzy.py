"""The filter: every term must be found, as it stands or with letters left out inside one word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from db.tracker.rows import Item, Model

PREFIX, INSIDE, LOOSE, ELSEWHERE = range(4)
"""How well a term fits a name, best first: it begins so, holds it, holds it with letters left out, or does not."""
_SHORTEST_LOOSE = 3
"""With two letters left out of anything, two letters would be found nearly everywhere."""


@dataclass(frozen=True)
class Query:
    """What was typed, compiled once. Texts to match are folded (see :func:`fold`); no term matches everything."""

    text: str = ""

    @cached_property
    def terms(self) -> tuple[str, ...]:
        return tuple(fold(term) for term in self.text.split())

    @cached_property
    def _loose(self) -> tuple[re.Pattern[str] | None, ...]:
        return tuple(_with_gaps(term) for term in self.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, folded: str) -> bool:
        """Whether a folded text holds every term."""
        return all(
            term in folded or (loose is not None and loose.search(folded) is not None)
            for term, loose in zip(self.terms, self._loose, strict=True)
        )

    def matching(self, folded: Sequence[str]) -> list[int]:
        """The indices of the texts that match: :meth:`matches` for very many at once."""
        found: Iterable[int] = range(len(folded))
        for term, loose in zip(self.terms, self._loose, strict=True):
            if loose is None:
                found = [index for index in found if term in folded[index]]
            else:
                search = loose.search
                found = [index for index in found if term in folded[index] or search(folded[index])]
        return list(found)

    def rank(self, name: str) -> int:
        """How well a folded name fits, 0 the best: the sum over the terms."""
        total = 0
        for term, loose in zip(self.terms, self._loose, strict=True):
            if name.startswith(term):
                total += PREFIX
            elif term in name:
                total += INSIDE
            elif loose is not None and loose.search(name):
                total += LOOSE
            else:
                total += ELSEWHERE
        return total

    def positions(self, name: str) -> tuple[int, ...]:
        """The characters of a name (as it is written) that the terms stand for; none for a term found elsewhere."""
        folded = fold(name)
        found: set[int] = set()
        for term, loose in zip(self.terms, self._loose, strict=True):
            at = folded.find(term)
            if at >= 0:
                found.update(range(at, at + len(term)))
            elif loose is not None and (match := loose.search(folded)):
                at = match.start() - 1
                for letter in term:
                    at = folded.index(letter, at + 1)
                    found.add(at)
        return tuple(sorted(found))


def fold(text: str) -> str:
    """Without regard to capitals, and as long as the text, so that a place in one is a place in the other."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(small if len(small := letter.casefold()) == 1 else letter for letter in text)


def model_text(model: Model) -> str:
    """What the filter looks through, folded: name, aliases, family, size, status, notes and section."""
    parts = (model.name, *model.aliases, model.family, model.size, model.status, model.notes, model.section)
    return fold(" ".join(part for part in parts if part))


def item_text(item: Item) -> str:
    """What the filter looks through, folded: the item's words, its models and its phase."""
    return fold(" ".join((item.text, *item.models, item.phase)))


def _with_gaps(term: str) -> re.Pattern[str] | None:
    """The term with letters left out, inside one word, from a word's beginning or from a digit after a letter.

    The first letter stands before the look at what precedes it: so the engine skips to where that letter is.
    """
    if len(term) < _SHORTEST_LOOSE:
        return None
    first = re.escape(term[0])
    starts = rf"(?:(?<![^\W_]{first})|(?<=[^\W\d_]{first}))" if term[0].isdigit() else rf"(?<![^\W_]{first})"
    return re.compile(first + starts + "".join(rf"[^\s{_in_class(letter)}]*{re.escape(letter)}" for letter in term[1:]))


def _in_class(letter: str) -> str:
    return f"\\{letter}" if letter in r"\]^-[&~|" else letter
