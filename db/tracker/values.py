"""What a cell says: sizes and memory as numbers where they are numbers, the status ladder, scores in prose."""

from __future__ import annotations

import re
from dataclasses import dataclass

from db.tracker.rows import STATUS_LADDER, DocumentScore

_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_ABOUT = r"[~≈<>≤≥]?\s*"
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}
_GIGABYTES = {"K": 1e-6, "M": 1e-3, "G": 1.0, "T": 1e3}
_PARAMETERS = re.compile(rf"({_NUMBER})\s*([KMBT])(?:\s*params?)?", re.IGNORECASE)
_MEMORY = re.compile(rf"({_NUMBER})\s*([KMGT])i?B", re.IGNORECASE)
_BARE_NUMBER = re.compile(_NUMBER)
_RANGE = re.compile(r"\s*[-\u2013]\s*")

_STATUS_BY_KEY = {re.sub(r"[\s_-]+", "", status).casefold(): status for status in STATUS_LADDER}
_KIND_WORDS = {"gt": "gt", "ground truth": "gt", "proxy": "proxy"}
_METRICS = {"gt": "cosine", "proxy": "keyword"}
_PERCENT = re.compile(
    r"(?<![\w.])(?P<about>[~≈])?\s?(?P<value>\d{1,3}(?:\.\d{1,6})?)\s?%"
    r"(?:\s+(?P<word>ground truth|[A-Za-z][\w-]*))?"
    r"(?:\s*\(\s*(?P<n>\d[\d,]{0,11})\s+(?:samples|images|cases|questions)\s*\))?",
    re.IGNORECASE,
)
_SPEED = re.compile(
    r"(?<![\w.])(?P<about>[~≈])?\s?(?P<value>\d{1,6}(?:\.\d{1,6})?)\s?(?:tok|tokens|t)/s\b", re.IGNORECASE
)
_FRACTION = re.compile(r"(?P<about>[~≈])?\s?(?P<value>0?\.\d{1,6}|1\.0{1,6}|0)")


@dataclass(frozen=True)
class Quantity:
    """``value`` where the text is one number; ``values``: all numbers in it; ``variants``: the parts of ``4B/12B``."""

    text: str
    value: float | None
    values: tuple[float, ...]
    variants: tuple[str, ...] = ()


def parse_size(text: str) -> Quantity:
    """Billions of parameters: ``256M`` is 0.256, ``1-4.5B`` has two values and no single one, ``MoE`` none."""
    return _quantity(text, _PARAMETERS, _BILLIONS)


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


def ladder_status(text: str) -> str | None:
    """The step of the ladder that the words mean (case, spaces and hyphens aside), or None."""
    return _STATUS_BY_KEY.get(re.sub(r"[\s_-]+", "", text).casefold())


def scores_in_prose(text: str, status: str, *, is_score_column: bool = False) -> tuple[list[DocumentScore], list[str]]:
    """Scores that a cell states, and the figures in it whose kind is not said and so are not taken.

    A percentage followed by GT or proxy is of that kind. One with no word behind it (``0% - domain mismatch``) is
    of the kind that the status stands for: proxy for `Proxy tested`, gt for `Tested` and `Fine-tuned`.
    """
    scores: list[DocumentScore] = []
    unclear: list[str] = []
    implied = _implied_kind(status)
    for match in _PERCENT.finditer(text):
        word = (match["word"] or "").casefold()
        kind = _KIND_WORDS.get(word) if word else implied
        value = float(match["value"])
        if kind is None or value > 100:
            unclear.append(match[0].strip())
            continue
        n = int(match["n"].replace(",", "")) if match["n"] else None
        said = match[0].strip() if word else text
        # 81.1 / 100 is 0.8109999999999999.
        scores.append(DocumentScore(kind, _METRICS[kind], round(value / 100, 10), n, bool(match["about"]), said))
    for match in _SPEED.finditer(text):
        value = float(match["value"])
        scores.append(DocumentScore("perf", "tokens_per_s", value, None, bool(match["about"]), match[0].strip()))
    bare = _FRACTION.fullmatch(text.strip()) if is_score_column and implied else None
    if bare and implied:
        about = bool(bare["about"])
        scores.append(DocumentScore(implied, _METRICS[implied], float(bare["value"]), None, about, text.strip()))
    return scores, unclear


def _implied_kind(status: str) -> str | None:
    return {"Proxy tested": "proxy", "Tested": "gt", "Fine-tuned": "gt"}.get(status)
