"""95 % intervals of means whose answers share images: bootstrap over images, or none.

Whole images are resampled, and the interval is corrected for bias and skewness (BCa: Efron, J. Am. Stat. Assoc.
82:171, 1987) and widened to Student's quantile. Where images are few or the answers almost all alike, a bootstrap is
too narrow; a proportion then gets Wilson's interval (J. Am. Stat. Assoc. 22:209, 1927) on the effective sample size,
other means get none. A slow test measures the coverage of both on thousands of made-up data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backends.scoring.resampling import Floats, Statistic, Whole, bca, mean_of, student

FEW_IMAGES = 30
"""Below so many images no bootstrap."""
FEW_UNLIKE = 5
"""Nor where the answers that differ from the commonest value come from fewer images than this; twice as many are needed
of what is no proportion, as that has no other interval."""
FEWEST_IMAGES = 4
"""Below so many images no interval at all."""


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
    images: Whole
    share: bool = False
    """True where values are in 0..1 by nature (half credit, F scores), so that they vary no more than a proportion."""

    @property
    def proportion(self) -> bool:
        return self.share or bool(np.isin(self.values, (0.0, 1.0)).all())

    @property
    def statistic(self) -> Statistic:
        return Statistic(np.stack([self.values, np.ones(len(self.values))], axis=1), self.images, mean_of)


def intervals(wanted: Sequence[Column | Statistic], *, resamples: int = 10_000, seed: int = 0) -> list[Interval | None]:
    """An interval each, or None where none can be honest.

    All are taken over the same resampled images, so image numbers must mean the same in all of them. ``resamples`` 0 is
    quick: Wilson's interval for proportions, None for the rest.
    """
    found: list[Interval | None] = [None] * len(wanted)
    bootstrapped: list[int] = []
    for at, one in enumerate(wanted):
        count = count_images(one.images)
        proportion = isinstance(one, Column) and one.proportion
        few = FEW_UNLIKE if proportion else 2 * FEW_UNLIKE
        if resamples and count >= FEW_IMAGES and unlike_images(one) >= few:
            bootstrapped.append(at)
        elif isinstance(one, Column) and proportion and count >= FEWEST_IMAGES:
            found[at] = wilson(one)
    if bootstrapped:
        statistics = [one.statistic if isinstance(one, Column) else one for one in (wanted[at] for at in bootstrapped)]
        for at, bounds in zip(bootstrapped, bca(statistics, resamples, seed), strict=True):
            found[at] = Interval(*bounds, "bca") if bounds else None
    return found


def why_none(one: Statistic) -> str | None:
    """Why :func:`intervals` has none for a difference, in words; None where it tries one."""
    count, unlike = count_images(one.images), unlike_images(one)
    if count < FEW_IMAGES:
        return f"too few images ({count}, it takes {FEW_IMAGES})"
    if unlike < 2 * FEW_UNLIKE:
        return f"too few images where the answers differ ({unlike} of {count}, it takes {2 * FEW_UNLIKE})"
    return None


def unlike_images(one: Column | Statistic) -> int:
    """Images with a value other than the commonest one."""
    if isinstance(one, Column):
        values = one.values.round(6)
    else:  # one number for each different row
        values = (one.terms @ np.random.default_rng(0).random(one.terms.shape[1])).round(6)
    kinds, counts = np.unique(values, return_counts=True)
    return count_images(one.images[values != kinds[counts.argmax()]])


def count_images(images: Whole) -> int:
    """How many different numbers there are."""
    return int(np.count_nonzero(np.bincount(images))) if len(images) else 0


# ------------------------------------------------------------------ Wilson
def wilson(column: Column) -> Interval:
    """Wilson's score interval of a proportion on the effective sample size, with Student's quantile of images - 1.

    The effective size is n over Kish's design effect 1 + (m - 1) ICC (Kish, Survey Sampling, 1965), m being the mean
    number of answers an image weighted by answers, ICC the analysis-of-variance estimate held to 0..1; it is 1, the
    worst, where fewer than :data:`FEW_UNLIKE` images differ, as it cannot be estimated then. Student's quantile
    follows Dean and Pagano, J. Surv. Stat. Methodol. 3:484, 2015.
    """
    size = 1 + int(column.images.max())
    counts: Floats = np.bincount(column.images, minlength=size).astype(np.float64)
    used = counts > 0
    sums: Floats = np.bincount(column.images, column.values, size)[used].astype(np.float64)
    counts = counts[used]
    n, share = float(counts.sum()), float(sums.sum() / counts.sum())
    correlation = _icc(sums, counts) if unlike_images(column) >= FEW_UNLIKE else 1.0
    weighted = float((counts**2).sum() / n)
    effective = n / (1 + (weighted - 1) * correlation)
    t = student(len(counts) - 1)
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
