"""What U2-BENCH measures, as statistics that follow from sums, so that they and their total have honest intervals.

A task's value is the unweighted mean over its data sets; the U2-Score is a weighted sum of the tasks' values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backends.scoring.bleu import corpus_bleu
from backends.scoring.resampling import Floats, Statistic

WEIGHTS: Mapping[str, float] = {
    "DD": 0.20,
    "VRA": 0.20,
    "LL": 0.07,
    "OD": 0.27,
    "KD": 0.07,
    "CVE": 0.07,
    "RG": 0.08,
    "CG": 0.04,
}
"""Of the tasks in the U2-Score; they add up to 1."""
RANGES: Mapping[str, tuple[float, float]] = {"18": (10, 75), "27": (0.3, 1.5), "50": (100, 400), "57": (0, 85)}
"""Of the clinical values by data set, for min-max scaling. A data set without one is left out, as set 31 is there."""
MEASUREMENTS: Mapping[str, tuple[str, ...]] = {
    "18": ("EF",),
    "27": ("IMT",),
    "50": ("abdominal_circumference",),
    "57": ("fat value",),
}
"""The entry of a measurement that is asked for."""
DATA_SETS: Mapping[str, int] = {"DD": 13, "VRA": 10, "LL": 5, "OD": 13, "KD": 1, "CVE": 4, "RG": 1, "CG": 2}
"""How many data sets the official score has of each task."""
TOLERANCE = 0.1
_NAMED = (("heart_segmentation", "18"), ("acouslic", "50"), ("liver_ultrasound_segmentation", "57"))


def data_set_number(name: str) -> str:
    """The number of a data set, which its name begins with ("18_1.Ultrasound_…", "57"), else found by its words."""
    digits = re.match(r"0*(\d+)", name)
    if digits:
        return digits[1]
    folded = name.lower().replace(" ", "_")
    return next((number for words, number in _NAMED if words in folded), name)


def u2_score(values: Mapping[str, float]) -> float:
    """The U2-Score of the eight tasks' values on 0..1; of CVE the RMSE, of RG and CG BLEU-4.

    0.20 DD + 0.20 VRA + 0.07 LL + 0.27 OD + 0.07 KD + 0.07 (1 - CVE) + 0.08 RG + 0.04 CG, each term within 0..1.

    Raises:
        KeyError: a task is missing: the weights of a part mean nothing.
    """
    terms = {task: 1 - values[task] if task == "CVE" else values[task] for task in WEIGHTS}
    return math.fsum(WEIGHTS[task] * min(1.0, max(0.0, term)) for task, term in terms.items())


def weighted(tasks: Sequence[str], parts: Sequence[Floats]) -> Floats:
    """The U2-Score of tasks' values (CVE as 1 - RMSE), arrays of one shape."""
    return np.asarray(sum(WEIGHTS[task] * np.clip(part, 0, 1) for task, part in zip(tasks, parts, strict=True)))


# ------------------------------------------------------------------ statistics
def joined(parts: Sequence[Statistic], combine: Callable[[Sequence[Floats]], Floats]) -> Statistic:
    """The statistic that ``combine`` makes of the values of ``parts``, which are over the same answers."""
    ends = np.cumsum([part.terms.shape[1] for part in parts])[:-1]

    def of(totals: Floats) -> Floats:
        pieces = np.split(totals, ends, axis=-1)
        return combine([part.of(piece) for part, piece in zip(parts, pieces, strict=True)])

    return Statistic(np.concatenate([part.terms for part in parts], axis=1), parts[0].images, of)


def value_of(statistic: Statistic) -> float:
    """Of all answers."""
    return float(statistic.of(statistic.terms.sum(0)))


def mean_over(parts: Sequence[Floats]) -> Floats:
    """The mean of the data sets' values; one that a resample lacks is left out."""
    stacked = np.stack(parts)
    there = ~np.isnan(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(there, stacked, 0).sum(0) / there.sum(0))


def one_minus_mean(parts: Sequence[Floats]) -> Floats:
    """1 - the mean of the data sets' RMSE, within 0..1."""
    return np.asarray(np.clip(1 - mean_over(parts), 0, 1))


def accuracy(values: Floats, member: NDArray[np.bool_], images: NDArray[np.int64]) -> Statistic:
    """The mean of ``values`` (n,) where ``member``."""
    return Statistic(np.stack([values * member, member.astype(np.float64)], axis=1), images, _share)


def _share(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[..., 0] / totals[..., 1])


def rmse(errors: Floats, member: NDArray[np.bool_], images: NDArray[np.int64]) -> Statistic:
    """The root mean square of scaled ``errors`` (n,) where ``member``; NaN ones could not be read and are dropped.

    1, the worst, where none could be read.
    """
    read = member & ~np.isnan(errors)
    squares = np.where(read, np.nan_to_num(errors) ** 2, 0.0)
    terms = np.stack([squares, read.astype(np.float64), member.astype(np.float64)], axis=1)
    return Statistic(terms, images, _root)


def _root(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(totals[..., 0] / totals[..., 1])
    unread = np.where(totals[..., 2] > 0, 1.0, np.nan)
    return np.asarray(np.where(totals[..., 1] > 0, root, unread))


def bleu(terms: Floats, member: NDArray[np.bool_], images: NDArray[np.int64]) -> Statistic:
    """BLEU-4 of the corpus of the answers where ``member``; ``terms`` (n, 10) of :func:`bleu_terms`."""
    return Statistic(terms * member[:, None], images, corpus_bleu)


def macro_f1(said: Sequence[str | None], true: Sequence[str]) -> float:
    """The mean of F1 over all labels that are given or true; what could not be read is no label."""
    labels = {one for one in (*said, *true) if one is not None}
    scores = []
    for label in labels:
        hits = sum(a == b == label for a, b in zip(said, true, strict=True))
        scores.append(2 * hits / (sum(a == label for a in said) + sum(b == label for b in true)))
    return float(np.mean(scores)) if scores else 0.0
