"""Terms of fetal ultrasound under all their names, from ``synonyms.toml``; and words, the same whatever their form."""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("synonyms.toml")
_BYTES = FILE.read_bytes()
"""As it was when the program was: an upgrade while a job runs must not change it under the code."""
SECTIONS = ("structures", "orientation", "planes", "biometry")

Phrase = tuple[str, ...]

_WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:'t)?")
_SEGMENT = re.compile(r"[,;:•|/()\[\]\n]|\.(?!\d)|\s(?:and|but|with|while)\s", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """``phrases``: every spelling, as words, to its term; ``groups``: each term to the group it excludes others of."""

    phrases: Mapping[Phrase, str]
    groups: Mapping[str, str]
    longest: int

    def split(self, words: Phrase) -> tuple[list[str], list[str]]:
        """The terms in their order, and the words that belong to none; the longest spelling wins."""
        terms: list[str] = []
        rest: list[str] = []
        at = 0
        while at < len(words):
            for length in range(min(self.longest, len(words) - at), 0, -1):
                term = self.phrases.get(words[at : at + length])
                if term is not None:
                    terms.append(term)
                    at += length
                    break
            else:
                rest.append(words[at])
                at += 1
        return terms, rest

    def find(self, words: Phrase) -> list[str]:
        return self.split(words)[0]


@lru_cache(maxsize=1 << 16)
def words_of(text: str) -> Phrase:
    """Words and numbers: NFKC, casefolded, hyphens and underscores apart, without a plural "s"."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return tuple(_singular(word) for word in _WORD.findall(folded))


def segments(text: str) -> list[Phrase]:
    """The words between commas, full stops, brackets, line breaks, "and", "but" and "with"; empty ones left out."""
    return [words for part in _SEGMENT.split(text) if (words := words_of(part))]


def negated(words: Phrase) -> bool:
    """True where a segment denies what it names ("no stomach", "cerebellum not visible")."""
    return not negations().isdisjoint(words)


def content(words: Iterable[str]) -> list[str]:
    """The words that say something."""
    stop = stop_words()
    return [word for word in words if word not in stop]


@cache
def section(name: str) -> Section:
    """One of :data:`SECTIONS`."""
    phrases: dict[Phrase, str] = {}
    groups: dict[str, str] = {}
    for group, terms in table()[name].items():
        for term, spellings in terms.items():
            groups[term] = group
            for spelling in (term, *spellings):
                other = phrases.setdefault(words_of(spelling), term)
                if other != term:
                    raise ValueError(f"{FILE.name}: {spelling!r} is both {other!r} and {term!r}")
    return Section(phrases, groups, max(map(len, phrases)))


@cache
def stop_words() -> frozenset[str]:
    return frozenset(word for text in table()["words"]["stop"] for word in words_of(text))


@cache
def negations() -> frozenset[str]:
    return frozenset(word for text in table()["words"]["negations"] for word in words_of(text))


@cache
def table() -> dict[str, Any]:
    """The file as it stands."""
    return tomllib.loads(_BYTES.decode())


@cache
def version() -> str:
    """Changes with the file: 12 hexadecimal digits of its hash."""
    return hashlib.sha256(_BYTES).hexdigest()[:12]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
