"""Where two runs part: question by question, category by category, and answer by answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backends.scoring.answer import Answer
from backends.scoring.compare import Contestant, common_ids
from backends.scoring.exact import exact_match, normalise
from backends.scoring.intervals import Column, intervals, why_none
from backends.scoring.resampling import Floats, Whole

RESAMPLES = 10_000
SIDES = ("a", "b", "neither")
_WHOLE = 1 - 1e-6


def explored(a: Contestant, b: Contestant, metric: str, *, seed: int = 0) -> list[dict[str, Any]]:
    """The difference within each question and each category of the common ones, with its interval and without a p.

    Exploration: so many intervals are looked at together that some leave 0 out by chance, and none is corrected.

    Returns:
        Of each ``a``, ``b``, ``metric``, ``question`` or ``category`` (the other is null), ``n_common``, ``images``,
        ``value_a``, ``value_b``, ``difference``, ``ci_low`` and ``ci_high`` (null where none is honest).
    """
    _, common = common_ids(a, b)
    if not common:
        return []
    mine, theirs = (np.array([one.values[key] for key in common]) for one in (a, b))
    answers = [a.answers[key] for key in common]
    images = np.unique([answer.image_path for answer in answers], return_inverse=True)[1].astype(np.int64)
    rows: list[dict[str, Any]] = []
    labelled: dict[str, list[str | None]] = {
        "question": [answer.topic for answer in answers],
        "category": [answer.category for answer in answers],
    }
    for over, labels in labelled.items():
        rows += _groups(over, labels, mine, theirs, images, seed)
    base = {"a": a.run, "b": b.run, "metric": metric, "question": None, "category": None}
    return [base | row for row in rows]


def _groups(
    over: str, labels: Sequence[str | None], mine: Floats, theirs: Floats, images: Whole, seed: int
) -> Iterator[dict[str, Any]]:
    column = np.array(labels, dtype=object)
    names = sorted({label for label in labels if label is not None})
    masks = [column == name for name in names]
    for name, mask in zip(names, masks, strict=True):
        # Renumbered: only this group's images are resampled.
        own = np.unique(images[mask], return_inverse=True)[1].astype(np.int64)
        apart = Column(mine[mask] - theirs[mask], own).statistic
        (interval,) = intervals([apart], resamples=RESAMPLES, seed=seed)
        yield {
            over: name,
            "n_common": int(mask.sum()),
            "images": int(own.max()) + 1,
            "value_a": float(mine[mask].mean()),
            "value_b": float(theirs[mask].mean()),
            "difference": float((mine[mask] - theirs[mask]).mean()),
            "ci_low": interval.low if interval else None,
            "ci_high": interval.high if interval else None,
            "warnings": [f"no interval: {why}"] if interval is None and (why := why_none(apart)) else [],
        }


def parted(a: Contestant, b: Contestant, by_value: bool = False) -> dict[str, list[str]]:
    """Ids of common questions that two runs answer otherwise, by who is right: ``a``, ``b`` or ``neither``.

    Right is an exact match, or ``by_value`` a value of 1: the letter of an option is not its text. Both right, or both
    wrong with the same words, is no parting.
    """
    sides: dict[str, list[str]] = {side: [] for side in SIDES}
    for key in common_ids(a, b)[1]:
        first, second = a.answers[key], b.answers[key]
        if by_value:
            right = [one.values[key] >= _WHOLE for one in (a, b)]
        else:
            right = [exact_match(_said(one), one.reference) for one in (first, second)]
        if right[0] != right[1]:
            sides["a" if right[0] else "b"].append(key)
        elif not right[0] and normalise(_said(first) or "") != normalise(_said(second) or ""):
            sides["neither"].append(key)
    return sides


def widest(ids: Sequence[str], differences: Mapping[str, float], most: int) -> list[str]:
    """At most so many of ``ids``, the largest difference first."""
    return sorted(ids, key=lambda key: (-abs(differences.get(key, 0.0)), key))[:most]


def _said(answer: Answer) -> str | None:
    return None if answer.failed else answer.prediction
