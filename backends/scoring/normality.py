"""Normal or abnormal (Q7): what an answer says, and balanced accuracy, sensitivity, specificity and MCC of many."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring.exact import normalise
from backends.scoring.intervals import FEW_IMAGES, count_images
from backends.scoring.vocabulary import Phrase, negations, segments, table, words_of

Floats = NDArray[np.float64]

CLASSES = ("normal", "abnormal")
FEW_RIGHT = 5
"""Fewer images of a class that are right, or wrong, than this tell no interval."""
_REACH = 6
"""A denial reaches so many words: "no obvious gross fetal structural abnormality"."""
_FINDING = "finding"
"""A named disease: abnormal where it is said, and nothing where it is denied; another may be there."""
_DENIALS = frozenset({"non", "lack", "negative", "unlikely", "free"})
_AFTERWARDS = frozenset({"absent", "not", "excluded", "ruled", "unlikely"})
_EXCLUDED = frozenset({"exclude", "excluded", "rule", "ruled"})
_SOUGHT = frozenset(
    {"exclude", "excluding", "rule", "ruling", "screen", "screening", "detect", "detecting", "assess", "assessing"}
    | {"assessment", "evaluate", "evaluating", "evaluation", "monitor", "monitoring", "check", "risk", "whether", "if"}
)
"""What follows is looked for, not found: "screening for anomalies"."""
_NOTHING = frozenset(
    {"none", "no", "nil", "absent", "not", "seen", "detected", "identified", "visible", "found", "noted"}
)
_HEADER = re.compile(r"^\W*(?:q7\W+)?(?:is this )?normality\b[^:\n]{0,40}:", re.IGNORECASE)
"""The question's own name, repeated before the answer: "Normality / Abnormality: normal"."""


@lru_cache(maxsize=1 << 14)
def normality(text: str) -> str | None:
    """``normal``, ``abnormal``, or None where a text says neither.

    An abnormality that is named and not denied decides; a denied one says normal, a denied "normal" abnormal. One that
    cannot be ruled out is named; one that is only looked for says nothing.
    """
    if normalise(text) in CLASSES:
        return normalise(text)
    says: set[str | None] = set()
    parts = segments(_HEADER.sub("", text))
    for words, then in pairwise([*parts, ()]):
        at = 0
        while at < len(words):
            length, kind = _phrase_at(words, at)
            if kind:
                says.add(_said(words, at, at + length, then, kind))
            at += length
    return next((kind for kind in reversed(CLASSES) if kind in says), None)


def _said(words: Phrase, start: int, end: int, then: Phrase, kind: str) -> str | None:
    """Class that a phrase of ``kind`` at words[start:end] says; ``then``: the next segment."""
    before, after = words[max(0, start - _REACH) : start], words[end : end + 4]
    denied = not (negations() | _DENIALS).isdisjoint(before)
    if kind != "normal":
        if denied and not _EXCLUDED.isdisjoint(before):
            return "abnormal"  # "cannot rule out an abnormality"
        if not _EXCLUDED.isdisjoint(after) and not negations().isdisjoint(after):
            return "abnormal"  # "an abnormality is not excluded"
        if not denied and not _SOUGHT.isdisjoint(before):
            return None
        denied = denied or _none_follows(words[end:], then)
    denied = denied or not _AFTERWARDS.isdisjoint(after[:2])
    if kind == _FINDING:
        return None if denied else "abnormal"
    return CLASSES[1 - CLASSES.index(kind)] if denied else kind


def _none_follows(rest: Phrase, then: Phrase) -> bool:
    """What is told of "Abnormal findings: none"."""
    return len(rest) <= 1 and bool(then) and _NOTHING.issuperset(then) and not negations().isdisjoint(then)


def _phrase_at(words: Phrase, at: int) -> tuple[int, str | None]:
    phrases = _phrases()
    for length in range(min(max(map(len, phrases)), len(words) - at), 0, -1):
        kind = phrases.get(words[at : at + length])
        if kind:
            return length, kind
    return 1, None


@cache
def _phrases() -> dict[Phrase, str]:
    return {words_of(word): kind for kind, words in table()["normality"].items() for word in words}


_COLUMNS = {("abnormal", True): 0, ("abnormal", False): 1, ("normal", False): 2, ("normal", True): 3}


def counts(said: Sequence[str], references: Sequence[str]) -> Floats:
    """(n, 4): true positive, false negative, false positive, true negative of each answer; abnormal is positive.

    An answer that says neither is wrong whichever is true. A reference that says neither gives a row of zeros.
    """
    rows = np.zeros((len(said), 4))
    for row, answer, reference in zip(rows, said, references, strict=True):
        true = normality(reference)
        if true is not None:
            right = normality(answer) == true
            row[_COLUMNS[true, right]] = 1
    return rows


def balanced_accuracy(totals: Floats) -> Floats:
    """Of totals (..., 4) as in :func:`counts`: the mean of sensitivity and specificity; of one class alone its recall.

    Brodersen and others, ICPR 2010. NaN where nothing can be counted.
    """
    tp, fn, fp, tn = (totals[..., at] for at in range(4))
    positive, negative = tp + fn, fp + tn
    with np.errstate(invalid="ignore", divide="ignore"):
        both = (np.where(positive > 0, tp / positive, 0.0) + np.where(negative > 0, tn / negative, 0.0)) / (
            (positive > 0).astype(float) + (negative > 0)
        )
    return np.asarray(both)


def mcc(totals: Floats) -> Floats:
    """Matthews' correlation (Biochim. Biophys. Acta 405:442, 1975) of totals (..., 4); 0 where it is undefined."""
    tp, fn, fp, tn = (totals[..., at] for at in range(4))
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.asarray(np.divide(tp * tn - fp * fn, below, out=np.zeros_like(below), where=below > 0))


def confusion(said: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """``confusion`` (true class to what was said: ``normal``, ``abnormal``, ``none``), ``sensitivity`` (of abnormal),
    ``specificity``, null where there is no such reference, and ``unreadable_references``.
    """
    table_ = {true: dict.fromkeys((*CLASSES, "none"), 0) for true in CLASSES}
    unreadable = 0
    for answer, reference in zip(said, references, strict=True):
        true = normality(reference)
        if true is None:
            unreadable += 1
        else:
            table_[true][normality(answer) or "none"] += 1
    recall = {true: row[true] / sum(row.values()) if sum(row.values()) else None for true, row in table_.items()}
    return {
        "confusion": table_,
        "sensitivity": recall["abnormal"],
        "specificity": recall["normal"],
        "unreadable_references": unreadable,
    }


def shuffled(said: Sequence[str], references: Sequence[str]) -> Floats:
    """Expected totals (4,) where the answers are dealt out over the images at random."""
    share = {kind: sum(normality(answer) == kind for answer in said) / len(said) for kind in CLASSES}
    true = {kind: sum(normality(reference) == kind for reference in references) for kind in CLASSES}
    hit, spared = true["abnormal"] * share["abnormal"], true["normal"] * share["normal"]
    return np.array([hit, true["abnormal"] - hit, true["normal"] - spared, spared])


def enough(terms: Floats, images: NDArray[np.int64]) -> bool:
    """Whether an interval is honest: enough images of either class, and enough of them right and wrong."""
    positive, negative = terms[:, :2].any(axis=1), terms[:, 2:].any(axis=1)
    right = terms[:, [0, 3]].any(axis=1)
    wrong = (positive | negative) & ~right
    each = [count_images(images[mask]) for mask in (positive, negative)]
    return min(each) >= FEW_IMAGES and all(
        count_images(images[mask & inside]) >= FEW_RIGHT for mask in (right, wrong) for inside in (positive, negative)
    )
