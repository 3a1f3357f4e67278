"""What a cell says: sizes and memory as numbers where they are numbers, the status ladder, scores in prose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from db.tracker.markdown.blocks import plain
from db.tracker.rows import STATUS_LADDER, DocumentScore

# A long note has 100,000 rows, and few different sizes and statuses.
_REMEMBERED = 4096
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_ABOUT = r"[~≈<>≤≥]?\s*"
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}
_GIGABYTES = {"K": 1e-6, "M": 1e-3, "G": 1.0, "T": 1e3}
_PARAMETERS = re.compile(rf"({_NUMBER})\s*([KMBT])(?:\s*params?)?", re.IGNORECASE)
_MEMORY = re.compile(rf"({_NUMBER})\s*([KMGT])i?B", re.IGNORECASE)
_BARE_NUMBER = re.compile(_NUMBER)
_RANGE = re.compile(r"\s*[-\u2013]\s*")

_SIGNS = re.compile(r"^[^\x00-\x7f]+\s|\s[^\x00-\x7f]+$")
_STATUS_BY_KEY = {re.sub(r"[\s_-]+", "", status).casefold(): status for status in STATUS_LADDER}
_KIND_WORDS = {"gt": "gt", "ground truth": "gt", "ground-truth": "gt", "proxy": "proxy"}
_METRICS = {"gt": "cosine", "proxy": "keyword"}
_KIND = r"ground[ -]truth|GT|proxy"
_BEFORE = rf"(?:\b(?P<before>{_KIND})\s*[:=]?\s*)?"
_COUNTED = (
    r"(?:(?:\s*[(,;]|\s+on)\s*(?P<n>\d[\d,]{0,11})\s+(?:samples|images|cases|questions)\b(?:[^()]{0,40}\))?"
    r"|\s*[(,;]?\s*n\s*=\s*(?P<n_is>\d[\d,]{0,11})\s*\)?)?"
)
_NOT_INSIDE = r"(?<![\w.,])(?P<about>[~≈<>≤≥])?\s?"
# A decimal comma has one or two digits behind it: 1,494 is a count.
_PERCENT = re.compile(
    _BEFORE + _NOT_INSIDE + r"(?P<value>\d{1,3}(?:\.\d{1,6}|,\d{1,2}(?!\d))?)\s?%"
    rf"(?:\s*(?P<word>(?:{_KIND})\b|(?<=\s)(?!on\s\d)[A-Za-z][\w-]*))?" + _COUNTED,
    re.IGNORECASE,
)
_SHARE = re.compile(
    _BEFORE + _NOT_INSIDE + r"(?P<value>0?\.\d{1,6}|1\.0{1,6})(?![\d.,]|\s?%)"
    rf"(?:\s+(?P<word>{_KIND})\b)?" + _COUNTED,
    re.IGNORECASE,
)
# Quick to say that there is no share.
_MAYBE_SHARE = re.compile(r"(?<!\d)0?\.\d|1\.0")
_SPEED = re.compile(_NOT_INSIDE + r"(?P<value>\d{1,6}(?:\.\d{1,6})?)\s?(?:tok|tokens|t)/s(?:ec)?\b", re.IGNORECASE)
# Before and behind a figure, what makes it an end of a range (60-70%) or a difference (-5%).
_LOW = re.compile(
    r"(?:(?<![\w.,])\d[\d.,]{0,11}\s?%?\s?[-\u2013\u2212]\s?[~≈]?\s?|(?<!\S)[-\u2013\u2212]|(?<=\()[-\u2013\u2212])$"
)
_HIGH = re.compile(r"\s?%?\s?[-\u2013\u2212]\s?[~≈]?\s?(?:\d[\d.,]{0,11}\s?%|0?\.\d)")
_DASHES = ("-", "\u2013", "\u2212")
# What may stand before a figure whose kind is not said: the start of a clause, and a sign for about.
_CLAUSE = re.compile(r"(?:^|[,;.(\u2013\u2014-])\s*[~≈<>≤≥]?\s*$")
_NEXT = re.compile(r"\s?/\s?[~≈]?\d")
# The spread of a figure, which is no figure of its own: 81.1 ± 0.3 %, 81.1% ± 0.3%.
_SPREAD = re.compile(r"(?:(?<=%)\s?(?:±|\+/-)\s?\d[\d.]{0,6}\s?%?|\s?(?:±|\+/-)\s?\d[\d.]{0,6})")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
# Bold, code or a link around a number. Reading the marks of every cell would be too dear, and of very long ones too.
_MARKED = re.compile(r"[*`\[_][~≈]?\d|[\d%][*`\]_]")
_LONGEST_MARKED = 2000
_FRACTION = re.compile(r"(?P<about>[~≈])?\s?(?P<value>0?\.\d{1,6}|1\.0{1,6}|0)")


@dataclass(frozen=True)
class Quantity:
    """``value`` where the text is one number; ``values``: all numbers in it; ``variants``: the parts of ``4B/12B``."""

    text: str
    value: float | None
    values: tuple[float, ...]
    variants: tuple[str, ...] = ()


@lru_cache(maxsize=_REMEMBERED)
def parse_size(text: str) -> Quantity:
    """Billions of parameters: ``256M`` is 0.256, ``1-4.5B`` has two values and no single one, ``MoE`` none."""
    return _quantity(text, _PARAMETERS, _BILLIONS)


@lru_cache(maxsize=_REMEMBERED)
def parse_memory(text: str) -> Quantity:
    """Gigabytes: ``~16GB`` is 16, ``<1GB`` is its bound 1, ``~10-16GB`` has two values, ``Cloud`` none."""
    return _quantity(text, _MEMORY, _GIGABYTES)


def _quantity(text: str, unit: re.Pattern[str], scale: dict[str, float]) -> Quantity:
    bare = re.sub(f"^{_ABOUT}", "", text.strip())
    if "/" in bare:
        parts = [part.strip() for part in bare.split("/")]
        found = [_one(part, unit, scale) for part in parts]
        known = [value for value in found if value is not None]
        return (
            Quantity(text, None, tuple(known), tuple(parts)) if len(known) == len(parts) else Quantity(text, None, ())
        )
    ends = _RANGE.split(bare)
    if len(ends) == 2:
        high = _one(ends[1], unit, scale)
        low = _one(ends[0], unit, scale)
        match = unit.fullmatch(ends[1])
        if low is None and match and _BARE_NUMBER.fullmatch(ends[0]):
            low = float(ends[0]) * scale[match[2].upper()]
        return Quantity(text, None, (low, high) if low is not None and high is not None else ())
    value = _one(bare, unit, scale)
    return Quantity(text, value, () if value is None else (value,))


def _one(text: str, unit: re.Pattern[str], scale: dict[str, float]) -> float | None:
    match = unit.fullmatch(text.strip())
    return float(match[1]) * scale[match[2].upper()] if match else None


@lru_cache(maxsize=_REMEMBERED)
def ladder_status(text: str) -> str | None:
    """The step of the ladder that the words mean (case, spaces, hyphens and a sign such as ✅ aside), or None."""
    return _STATUS_BY_KEY.get(re.sub(r"[\s_-]+", "", _SIGNS.sub("", text)).casefold())


def scores_in_prose(text: str, status: str, *, is_score_column: bool = False) -> tuple[list[DocumentScore], list[str]]:
    """Scores that a cell states, and the figures in it whose kind is not said and so are not taken.

    A percentage or a share beside GT or proxy (``GT: 0.81``) is of that kind. A percentage with no word beside it
    (``0% - domain mismatch``) is of the kind that the status stands for: proxy for `Proxy tested`, gt for `Tested` and
    `Fine-tuned`. Of a range no number is taken; a bound (``>80% proxy``) is approximate.
    """
    if not (is_score_column or "%" in text or "/" in text or "." in text):
        return [], []
    if len(text) < _LONGEST_MARKED and _MARKED.search(text):
        text = plain(text)
    if "±" in text or "+/-" in text:
        text = _SPREAD.sub("", text)
    if "<" in text:
        text = _TAG.sub("", text)
    scores: list[DocumentScore] = []
    unclear: list[str] = []
    implied = _implied_kind(status)
    for match in _single(_PERCENT, text, unclear) if "%" in text else ():
        word = (match["word"] or "").casefold()
        named = _KIND_WORDS.get(word) or _KIND_WORDS.get((match["before"] or "").casefold())
        kind = named or (None if word else implied if _stands_alone(match, text) else None)
        value = float(match["value"].replace(",", "."))
        if kind is None or value > 100:
            unclear.append(match[0].strip())
            continue
        said = match[0].strip() if word or named else text
        # 81.1 / 100 is 0.8109999999999999.
        scores.append(_score(kind, round(value / 100, 10), match, said))
    for match in _single(_SHARE, text, unclear) if _MAYBE_SHARE.search(text) else ():
        word = (match["word"] or match["before"] or "").casefold()
        if word:
            scores.append(_score(_KIND_WORDS[word], float(match["value"]), match, match[0].strip()))
    for match in _single(_SPEED, text, unclear) if "/s" in text or "/S" in text else ():
        value = float(match["value"])
        scores.append(DocumentScore("perf", "tokens_per_s", value, None, bool(match["about"]), match[0].strip()))
    bare = _FRACTION.fullmatch(text.strip()) if is_score_column and implied else None
    if bare and implied:
        about = bool(bare["about"])
        scores.append(DocumentScore(implied, _METRICS[implied], float(bare["value"]), None, about, text.strip()))
    elif is_score_column and _BARE_NUMBER.fullmatch(text.strip()):
        unclear.append(text.strip())
    return scores, unclear


def _stands_alone(match: re.Match[str], text: str) -> bool:
    """Nothing beside a figure says what it measures: ``BLEU 12%`` is no score of ours, nor is ``70% / 80% proxy``."""
    start = match.start("about") if match["about"] else match.start("value")
    return bool(_CLAUSE.search(text, max(0, start - 20), start)) and not _NEXT.match(text, match.end())


def _single(pattern: re.Pattern[str], text: str, unclear: list[str]) -> Iterable[re.Match[str]]:
    """The figures that are no end of a range and no difference; those go to ``unclear``."""
    found = pattern.finditer(text)
    if not any(dash in text for dash in _DASHES):
        return found
    single = []
    for match in found:
        start = match.start("about") if match["about"] else match.start("value")
        low = _LOW.search(text, max(0, start - 20), start)
        if low and not (pattern is _SPEED and "%" in low[0]):
            unclear.append(text[low.start() : match.end()].strip())
        elif not _HIGH.match(text, match.end("value")):
            single.append(match)
    return single


def _score(kind: str, value: float, match: re.Match[str], said: str) -> DocumentScore:
    count = match["n"] or match["n_is"]
    n = int(count.replace(",", "")) if count else None
    return DocumentScore(kind, _METRICS[kind], value, n, bool(match["about"]), said)


def _implied_kind(status: str) -> str | None:
    return {"Proxy tested": "proxy", "Tested": "gt", "Fine-tuned": "gt"}.get(status)
