"""The scores of a classification without training: accuracy, the classes' recall, and macro F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.scoring.answer import Answer
from backends.scoring.floors import majority
from backends.scoring.groups import Group
from backends.scoring.intervals import FEW_IMAGES
from backends.scoring.resampling import Floats, Statistic
from backends.scoring.rows import RESAMPLES, Row, fields_of, finished, image_numbers, mean_row, set_floors
from backends.scoring.shuffled import expected_exact
from backends.scoring.values import Values, said_of

VERSION = 1
"""Changes whenever the same answers would score differently."""


def score_zero_shot(
    answers: Sequence[Answer],
    classes: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
) -> list[dict[str, Any]]:
    """Score answers that are one of ``classes`` each, as their references are.

    Returns:
        Rows as :func:`backends.scoring.score.score_answers` gives them: ``accuracy`` overall and of each class (as
        category: its recall; the mean of these, balanced accuracy, is ``macro`` of the overall row), and ``macro_f1``
        with the F1 of each class in ``f1``. Floors: ``majority`` (the commonest class for all), ``shuffled`` (the
        answers dealt out at random), ``chance`` (one of the classes).
    """
    answers = sorted(answers, key=lambda answer: answer.id)
    if not answers:
        return []
    images = image_numbers(answers)
    said, true = said_of(answers), [answer.reference for answer in answers]
    groups = [Group(None, None, np.ones(len(answers), dtype=np.bool_))]
    column = np.array(true, dtype=object)
    groups += [Group(None, name, column == name) for name in sorted(set(true))]
    top = majority(answers)
    values = Values(
        "accuracy",
        np.array([a == b for a, b in zip(said, true, strict=True)], np.float64),
        {
            "majority": np.array([a == b for a, b in zip(top, true, strict=True)], np.float64),
            "shuffled": expected_exact([answer.topic for answer in answers], said, true),
            "chance": np.full(len(answers), 1 / max(1, len(classes))),
        },
        {},
        np.array([bool(text) and text not in classes for text in said]),
    )
    rows = [mean_row(values, group, groups, images) for group in groups]
    rows.insert(1, _f1_row(said, true, top, classes, groups[0], images))
    shared = {"scorer": VERSION, "partial": partial, "classes": len(classes)}
    return finished(rows, answers, images, groups, shared, resamples=resamples, seed=seed)


def _f1_row(
    said: Sequence[str], true: Sequence[str], top: Sequence[str], classes: Sequence[str], group: Group, images: Any
) -> Row:
    own = _terms(said, true, classes)
    totals = own.sum(0)
    row = Row(group, None, fields_of("macro_f1", group, float(macro_f1(totals))))
    if min(Counter(true).values()) >= FEW_IMAGES:
        row.wanted = Statistic(own, images, macro_f1)
    given, there = totals[len(classes) : 2 * len(classes)], totals[2 * len(classes) :]
    n, k = len(true), max(1, len(classes))
    floors = {
        "majority": _terms(top, true, classes).sum(0),
        "shuffled": np.concatenate([given * there / n, given, there]),
        "chance": np.concatenate([there / k, np.full(len(classes), n / k), there]),
    }
    set_floors(row, {name: float(macro_f1(sums)) for name, sums in floors.items()})
    each = dict(zip(classes, _f1(totals).tolist(), strict=True))
    row.fields |= {"references": {}, "unparseable": sum(bool(text) and text not in classes for text in said)}
    row.fields["f1"] = {name: value for name, value in each.items() if name in set(true)}
    return row


def _terms(said: Sequence[str], true: Sequence[str], classes: Sequence[str]) -> Floats:
    """(n, 3 classes): hits, given, true."""
    known = np.array(classes, dtype=object)
    given, there = (np.array(column, dtype=object)[:, None] == known for column in (said, true))
    return np.concatenate([given & there, given, there], axis=1).astype(np.float64)


def _f1(totals: Floats) -> Floats:
    hits, given, there = np.split(totals, 3, axis=-1)
    both = given + there
    return np.asarray(np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0))


def macro_f1(totals: Floats) -> Floats:
    """The mean of F1 over the classes that are true or given; of totals (..., 3 classes)."""
    _, given, there = np.split(totals, 3, axis=-1)
    used = (given + there > 0).sum(-1)
    return np.asarray(_f1(totals).sum(-1) / np.maximum(used, 1))
