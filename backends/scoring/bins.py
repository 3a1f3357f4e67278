"""Ordered bins: gestational age (Q5) and image quality (Q6). The neighbouring bin earns half."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cache, lru_cache

from backends.scoring.exact import exact_match
from backends.scoring.vocabulary import Phrase, negations, table, words_of

_UNIT = r"(?:\s*-)?\s*(?:weeks?|wks?|w(?![a-z]))"


def _age(at: int) -> str:
    """Pattern of one age: "22", "22 weeks", "22w3d", "22+3", "22 3/7 weeks", "22 weeks and 3 days"; no "22 mm"."""
    plus = rf"\s*\+\s*(?P<plus{at}>[0-6])(?!\d)(?:/7)?(?P<unit{at}b>{_UNIT})?"
    sevenths = rf"\s+(?P<sevenths{at}>[0-6])/7(?P<unit{at}c>{_UNIT})?"
    days = rf"\s*(?:and|,)?\s*(?P<days{at}>[0-6])\s*(?:d\b|days?)"
    number = rf"(?<![\d.])(?P<number{at}>\d{{1,2}}(?:[.,]\d+)?)(?![\d.]*\d)(?!\s*(?:mm|cm|kg|g\b|%))"
    return rf"{number}(?P<unit{at}>{_UNIT})?(?:{plus}|{sevenths}|{days})?"


_AGES = re.compile(rf"{_age(0)}(?:\s*(?:-|–|—|to|and|until)\s*{_age(1)})?")
_ROUGHLY = (
    r"(?:(?:is|was|of|at|about|approximately|approx|around|circa|ca|estimated|between|from|weeks?)\b|[\s:=~≈(.-])*"
)
_NAMED = re.compile(rf"\b(?:gestational age|gestation|age|ga|weeks?|wks?)\b[\s:=)]*{_ROUGHLY}$")
"""What stands before a number makes it an age: "GA 22", "week 22", "gestational age (weeks): about 22"."""
_ALONE = re.compile(rf"^{_ROUGHLY}$")
_NO_AGE = re.compile(r"(?:±|\+/-|\+-|plus or minus|\bwithin|\bnot|\bevery)\s*$")
"""What makes a number of weeks none: a margin, a denial, an interval between scans."""
_TRIMESTERS = r"(?:early |mid |late |early-|mid-|late-)?(first|second|third|1st|2nd|3rd)"
_TRIMESTER = re.compile(
    rf"\b{_TRIMESTERS}(?:(?:[\s-]+trimester)?\s*(?:or|and|to|/|-|–)\s*{_TRIMESTERS})?[\s-]+trimester"
    r"|\btrimester[\s:(]*(first|second|third|[123]|i{1,3})\b"
)
_OLDEST = 46
_NEAR = 60
"""So many characters before a number are looked at."""
_ORDINAL = {
    spelt: name
    for name, *all_ in (("first", "1st", "1", "i"), ("second", "2nd", "2", "ii"), ("third", "3rd", "3", "iii"))
    for spelt in (name, *all_)
}


def bin_accuracy(topic: str, prediction: str, reference: str) -> float | None:
    """1 in the reference's bin, 0.5 in the one beside it, else 0; None where the answer names no bin (counts as 0).

    A reference that names none asks for the same text. The bins are those of ``synonyms.toml``.
    """
    true = bin_of(topic, reference)
    if true is None:
        return float(exact_match(prediction, reference))
    said = bin_of(topic, prediction)
    return None if said is None else {0: 1.0, 1: 0.5}.get(abs(said - true), 0.0)


def bin_of(topic: str, text: str) -> int | None:
    """The bin that a text names first; None for none. ``topic`` is ``Q5`` or ``Q6``."""
    if topic == "Q6":
        return quality(text)
    age = weeks(text)
    return None if age is None else bisect_right(table()["age"]["starts"], age)


@lru_cache(maxsize=1 << 14)
def weeks(text: str) -> float | None:
    """Gestational age in weeks: of a range, or a trimester, its middle; None where there is none below 46.

    Of several ages the first counts. "14 to 20 weeks", "GA 22", "22w3d", "22+3", "22 3/7 weeks", "second trimester".
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    for match in _AGES.finditer(text):
        if _is_age(text, match):
            parts = match.groupdict()
            ages = [_weeks(parts, at) for at in (0, 1) if parts[f"number{at}"]]
            age = sum(ages) / len(ages)
            return age if age < _OLDEST else None
    trimester = _TRIMESTER.search(text)
    if trimester is None:
        return None
    spans = [table()["age"]["trimesters"][_ORDINAL[name]] for name in trimester.groups() if name]
    return sum(float(start) + float(end) for start, end in spans) / (2 * len(spans))


def _is_age(text: str, match: re.Match[str]) -> bool:
    """A number alone is an age only where it is called one, or where the text is nothing else."""
    before, after = text[max(0, match.start() - _NEAR) : match.start()], text[match.end() :]
    if _NO_AGE.search(before):
        return False
    if any(value for key, value in match.groupdict().items() if key.startswith(("unit", "plus"))):
        return True
    alone = match.start() <= _NEAR and _ALONE.match(before) and not after.strip(" .")
    return bool(_NAMED.search(before) or alone)


def _weeks(parts: dict[str, str | None], at: int) -> float:
    days = parts[f"plus{at}"] or parts[f"sevenths{at}"] or parts[f"days{at}"] or 0
    return float((parts[f"number{at}"] or "0").replace(",", ".")) + float(days) / 7


@lru_cache(maxsize=1 << 14)
def quality(text: str) -> int | None:
    """Bin of image quality, 0 the worst; None where no word of quality is there, or it is only denied."""
    words = words_of(text)
    phrases = _quality_phrases()
    longest = max(map(len, phrases))
    at = 0
    while at < len(words):
        for length in range(min(longest, len(words) - at), 0, -1):
            found = phrases.get(words[at : at + length])
            if found is not None:
                if negations().isdisjoint(words[max(0, at - 2) : at]):
                    return found
                at += length - 1
                break
        at += 1
    return None


@cache
def _quality_phrases() -> dict[Phrase, int]:
    return {
        words_of(word): number for number, one in enumerate(table()["quality"]) for word in (one["name"], *one["words"])
    }
