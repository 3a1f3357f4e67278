"""What scores are given of: everything, each question, each category; and means of the means of such groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.scoring.answer import Answer
from backends.scoring.intervals import FEW_IMAGES, FEW_UNLIKE, Column, count_images, unlike_images
from backends.scoring.resampling import Floats, Statistic

_MOST = 64
"""Over more groups than this a mean of means gets no interval."""


@dataclass(frozen=True)
class Group:
    """The answers of one score: all, a question's or a category's; ``mask`` (n,)."""

    question: str | None
    category: str | None
    mask: NDArray[np.bool_]

    @property
    def overall(self) -> bool:
        return self.question is None and self.category is None

    @property
    def key(self) -> tuple[str | None, str | None]:
        return self.question, self.category


def groups_of(answers: Sequence[Answer]) -> list[Group]:
    """All, then the questions and the categories by name."""
    topics = np.array([answer.topic for answer in answers], dtype=object)
    categories = np.array([answer.category for answer in answers], dtype=object)
    groups = [Group(None, None, np.ones(len(answers), dtype=np.bool_))]
    groups += [Group(topic, None, topics == topic) for topic in sorted(set(topics))]
    named = sorted({category for category in categories if category is not None})
    return groups + [Group(None, category, categories == category) for category in named]


def macro_value(values: Floats, groups: Sequence[Group]) -> float:
    """The mean of the groups' means: each counts the same, however many answers it has."""
    return float(np.mean([values[group.mask].mean() for group in groups]))


def macro(values: Floats, images: NDArray[np.int64], groups: Sequence[Group]) -> Statistic | None:
    """What its interval is taken of; None where groups are too many, or one has too few images for an honest one."""
    few = any(count_images(images[group.mask]) < FEW_IMAGES for group in groups)
    if few or len(groups) > _MOST or unlike_images(Column(values, images)) < FEW_UNLIKE:
        return None
    member = np.stack([group.mask for group in groups], axis=1).astype(np.float64)
    return Statistic(np.concatenate([member * values[:, None], member], axis=1), images, _mean_of_means)


def _mean_of_means(totals: Floats) -> Floats:
    """Of totals (..., 2 groups): the sums, then the counts. A group that a resample lacks is left out."""
    sums, counts = np.split(totals, 2, axis=-1)
    there = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=there)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(means.sum(-1) / there.sum(-1))
