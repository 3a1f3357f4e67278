"""Bootstrap over images of anything that follows from sums: means, means of means, correlations of a 2 × 2 table.

Several answers about one image are not independent, so whole images are drawn (Field and Welsh, J. R. Stat. Soc. B
69:369, 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

LEVEL = 0.95
CELLS = 1 << 21
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Statistic:
    """``of`` takes totals (..., k) over images to values (...); ``terms`` (n, k) are each answer's part of them.

    ``images`` (n,) is the number of each answer's image.
    """

    terms: Floats
    images: Whole
    of: Callable[[Floats], Floats]


def mean_of(totals: Floats) -> Floats:
    """Sum over count of totals (..., 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[..., 0] / totals[..., 1])


def bca(statistics: Sequence[Statistic], resamples: int, seed: int) -> list[tuple[float, float] | None]:
    """Bounds of each by the bias-corrected accelerated bootstrap; None where the resamples do not vary.

    Bias correction from the share of resamples below the estimate (ties count half), acceleration from the jackknife
    over images (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 14.3). The levels are widened to
    Student's quantile of images - 1, as resamples of n images vary too little by (n - 1) / n (Hesterberg, The American
    Statistician 69:371, 2015, section 4.1): without that the interval of 50 images covers 93 % instead of 95 %.
    """
    per_image = [_per_image(statistic) for statistic in statistics]
    size = max(map(len, per_image))
    stacked = np.concatenate([np.pad(rows, ((0, size - len(rows)), (0, 0))) for rows in per_image], axis=1)
    used = stacked.any(axis=1)
    totals = resampled(stacked[used], resamples, seed)
    bounds: list[tuple[float, float] | None] = []
    at = 0
    for statistic, rows in zip(statistics, per_image, strict=True):
        width = rows.shape[1]
        bounds.append(_bounds(statistic, rows[rows.any(axis=1)], totals[:, at : at + width]))
        at += width
    return bounds


def _per_image(statistic: Statistic) -> Floats:
    """Sums (images, k) of the terms."""
    size = 1 + int(statistic.images.max())
    return np.stack([np.bincount(statistic.images, column, size) for column in statistic.terms.T], axis=1)


def resampled(sums: Floats, resamples: int, seed: int) -> Floats:
    """Totals (resamples, columns) over images drawn with replacement."""
    rng = np.random.default_rng(seed)
    images, columns = sums.shape
    narrow = sums.astype(np.float32)  # exact for counts of correct answers
    totals = np.empty((resamples, columns))
    rows = max(1, CELLS // images)
    for start in range(0, resamples, rows):
        here = min(rows, resamples - start)
        drawn = rng.integers(0, images, (here, images), dtype=np.int32)
        drawn += np.arange(here, dtype=np.int32)[:, None] * np.int32(images)
        weights = np.bincount(drawn.ravel(), minlength=here * images).reshape(here, images)
        totals[start : start + here] = weights.astype(np.float32) @ narrow
    return totals


def _bounds(statistic: Statistic, sums: Floats, totals: Floats) -> tuple[float, float] | None:
    total = sums.sum(0)
    estimate = float(statistic.of(total))
    drawn = statistic.of(totals)
    # A question of few images can be absent from a resample: then it says nothing of its mean.
    drawn = np.sort(np.where(np.isnan(drawn), estimate, drawn))
    if len(drawn) < 2 or drawn[0] == drawn[-1]:
        return None
    below = float((drawn < estimate).mean() + 0.5 * (drawn == estimate).mean())
    bias = _NORMAL.inv_cdf(min(max(below, 1 / len(drawn)), 1 - 1 / len(drawn)))
    acceleration = _acceleration(statistic.of(total - sums))
    images = len(sums)
    widened = (images / (images - 1)) ** 0.5 * student(images - 1)
    low, high = (
        float(np.quantile(drawn, _NORMAL.cdf(bias + z / max(1 - acceleration * z, 1e-6))))
        for z in (bias - widened, bias + widened)
    )
    return low, high


def _acceleration(left_out: Floats) -> float:
    """From the statistic without each image in turn."""
    left_out = left_out[~np.isnan(left_out)]
    away = left_out.mean() - left_out
    spread = float((away**2).sum())
    return float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def student(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t, by the expansion around the normal quantile (Abramowitz and Stegun,
    26.7.5); off by less than 0.3 % from 3 degrees of freedom on.
    """
    z: float = _NORMAL.inv_cdf((1 + LEVEL) / 2)
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))
