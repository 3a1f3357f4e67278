"""95 % intervals of means whose answers share images: bootstrap over images, or none.

Several answers about one image are not independent, so whole images are resampled (Field and Welsh, J. R. Stat. Soc. B
69:369, 2007), and the interval is corrected for bias and skewness (BCa: Efron, J. Am. Stat. Assoc. 82:171, 1987). Where
images are few or the answers almost all alike, a bootstrap is too narrow; a proportion then gets Wilson's interval
(J. Am. Stat. Assoc. 22:209, 1927) on the effective sample size, other means get none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
FEW_IMAGES = 30
"""Below so many images no bootstrap."""
FEW_UNLIKE = 10
"""Nor where the answers that differ from the commonest value come from fewer images than this."""
FEWEST_IMAGES = 4
"""Below so many images no interval at all."""
_CELLS = 1 << 21
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """``method`` is ``bca`` or ``wilson``; ``effective_n`` (wilson only): as many independent answers say as much."""

    low: float
    high: float
    method: str
    effective_n: float | None = None


@dataclass(frozen=True)
class Column:
    """One mean: ``values`` (n,) in 0..1 or -1..1, and ``images`` (n,), the number of each value's image."""

    values: Floats
    images: NDArray[np.int64]

    @property
    def binary(self) -> bool:
        return bool(np.isin(self.values, (0.0, 1.0)).all())


def intervals(columns: Sequence[Column], *, resamples: int = 10_000, seed: int = 0) -> list[Interval | None]:
    """An interval a column, or None where none can be honest.

    All columns are taken over the same resampled images, so image numbers must mean the same in all of them.
    ``resamples`` 0 is quick: Wilson's interval for proportions, None for the rest.
    """
    found: list[Interval | None] = [None] * len(columns)
    bootstrapped: list[int] = []
    for at, column in enumerate(columns):
        count = len(np.unique(column.images))
        if count < FEWEST_IMAGES:
            continue
        enough = count >= FEW_IMAGES and _unlike_images(column) >= FEW_UNLIKE
        if resamples and enough:
            bootstrapped.append(at)
        elif column.binary:
            found[at] = wilson(column)
    if bootstrapped:
        sums, counts = _per_image([columns[at] for at in bootstrapped])
        lows, highs = _bca(sums, counts, resamples, seed)
        for at, low, high in zip(bootstrapped, lows, highs, strict=True):
            found[at] = Interval(float(low), float(high), "bca")
    return found


def _unlike_images(column: Column) -> int:
    """Images with a value other than the commonest one."""
    values, counts = np.unique(column.values.round(6), return_counts=True)
    unlike = column.values.round(6) != values[counts.argmax()]
    return len(np.unique(column.images[unlike]))


def _per_image(columns: Sequence[Column]) -> tuple[Floats, Floats]:
    """Sums and counts, each (images, columns)."""
    size = 1 + max(int(column.images.max()) for column in columns)
    sums: Floats = np.stack([np.bincount(c.images, c.values, size) for c in columns], axis=1).astype(np.float64)
    counts: Floats = np.stack([np.bincount(c.images, minlength=size) for c in columns], axis=1).astype(np.float64)
    used = counts.any(axis=1)
    return sums[used], counts[used]


# ------------------------------------------------------------------ bootstrap
def _bca(sums: Floats, counts: Floats, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Bounds (columns,) of the ratio of total sum to total count, by the bias-corrected accelerated bootstrap.

    Bias correction from the share of resamples below the estimate (ties count half), acceleration from the jackknife
    over images (Efron 1987; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 14.3).
    """
    estimate = sums.sum(0) / counts.sum(0)
    drawn = _resampled_means(sums, counts, resamples, seed)
    below = (drawn < estimate).mean(0) + 0.5 * (drawn == estimate).mean(0)
    acceleration = _acceleration(sums, counts)
    tail = (1 - LEVEL) / 2
    bounds = np.empty((2, len(estimate)))
    for at in range(len(estimate)):
        bias = _NORMAL.inv_cdf(float(np.clip(below[at], 1 / resamples, 1 - 1 / resamples)))
        for row, probability in enumerate((tail, 1 - tail)):
            z = bias + _NORMAL.inv_cdf(probability)
            level = _NORMAL.cdf(bias + z / max(1 - float(acceleration[at]) * z, 1e-6))
            bounds[row, at] = np.quantile(drawn[:, at], level)
    return bounds[0], bounds[1]


def _resampled_means(sums: Floats, counts: Floats, resamples: int, seed: int) -> Floats:
    """Means (resamples, columns) over images drawn with replacement."""
    rng = np.random.default_rng(seed)
    images, columns = sums.shape
    both = np.concatenate([sums, counts], axis=1).astype(np.float32)  # exact for counts of correct answers
    means = np.empty((resamples, columns))
    rows = max(1, _CELLS // images)
    for start in range(0, resamples, rows):
        here = min(rows, resamples - start)
        drawn = rng.integers(0, images, (here, images), dtype=np.int32)
        drawn += np.arange(here, dtype=np.int32)[:, None] * np.int32(images)
        weights = np.bincount(drawn.ravel(), minlength=here * images).reshape(here, images)
        totals = (weights.astype(np.float32) @ both).astype(np.float64)
        # A question of few images can be absent from a resample: then it says nothing of its mean.
        with np.errstate(invalid="ignore"):
            means[start : start + here] = totals[:, :columns] / totals[:, columns:]
    return np.asarray(np.where(np.isnan(means), sums.sum(0) / counts.sum(0), means))


def _acceleration(sums: Floats, counts: Floats) -> Floats:
    left = (sums.sum(0) - sums) / np.maximum(counts.sum(0) - counts, 1e-12)
    away = left.mean(0) - left
    spread = (away**2).sum(0)
    return np.asarray(np.divide((away**3).sum(0), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 0))


# ------------------------------------------------------------------ Wilson
def wilson(column: Column) -> Interval:
    """Wilson's score interval of a proportion on the effective sample size, with Student's quantile of images - 1.

    The effective size is n over Kish's design effect 1 + (m - 1) ICC (Kish, Survey Sampling, 1965), m being the mean
    number of answers an image weighted by answers, ICC the analysis-of-variance estimate held to 0..1; it is 1, the
    worst, where fewer than :data:`FEW_UNLIKE` images differ, as it cannot be estimated then. Student's quantile
    follows Dean and Pagano, J. Surv. Stat. Methodol. 3:484, 2015.
    """
    sums, counts = (array[:, 0] for array in _per_image([column]))
    n, share = float(counts.sum()), float(sums.sum() / counts.sum())
    correlation = _icc(sums, counts) if _unlike_images(column) >= FEW_UNLIKE else 1.0
    weighted = float((counts**2).sum() / n)
    effective = n / (1 + (weighted - 1) * correlation)
    t = _student(len(counts) - 1)
    centre = (share + t**2 / (2 * effective)) / (1 + t**2 / effective)
    half = t / (1 + t**2 / effective) * (share * (1 - share) / effective + t**2 / (4 * effective**2)) ** 0.5
    # Rounding must not put the proportion itself outside.
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), "wilson", effective)


def _icc(sums: Floats, counts: Floats) -> float:
    """Intraclass correlation of 0/1 answers within images, analysis-of-variance estimate (Ridout and others,
    Biometrics 55:137, 1999), between 0 and 1.
    """
    n, groups = counts.sum(), len(counts)
    if n == groups:
        return 0.0
    means = sums / counts
    between = float((counts * (means - sums.sum() / n) ** 2).sum() / (groups - 1))
    within = float((sums * (1 - means)).sum() / (n - groups))
    size = float((n - (counts**2).sum() / n) / (groups - 1))
    total = between + (size - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else 1.0


def _student(freedom: int) -> float:
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
