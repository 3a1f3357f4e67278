"""Two runs beside each other on the questions that both answered: is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring.alarms import COVERAGE
from backends.scoring.answer import Answer
from backends.scoring.digest import answer_hashes
from backends.scoring.exact import normalise
from backends.scoring.intervals import FEW_IMAGES, Column, intervals, why_none
from backends.scoring.resampling import CELLS, Floats, resampled

RESAMPLES = 10_000


@dataclass(frozen=True)
class Contestant:
    """A run in a comparison: its answers by id, and each one's value where the metric has one."""

    run: int
    answers: Mapping[str, Answer]
    values: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())
    """What must be said wherever it appears."""

    @property
    def coverage(self) -> float:
        there = sum(not (answer.failed or answer.empty) for answer in self.answers.values())
        return there / len(self.answers) if self.answers else 0.0


def compare_all(
    runs: Sequence[Contestant], metric: str, *, unlike: Mapping[tuple[int, int], Sequence[str]], seed: int = 0
) -> list[dict[str, Any]]:
    """Every pair once, in the order given, with Holm's correction over them.

    Args:
        unlike: What differs in the specs of a pair of runs other than the model, in words, by their ids.

    Returns:
        Of each pair ``a``, ``b``, ``metric``, ``n_common``, ``images``, ``value_a``, ``value_b``, ``difference`` (a
        less b, on the common questions), ``ci_low``, ``ci_high`` (95 %, bootstrap over images), ``p`` (two-sided),
        ``p_holm`` and ``warnings``. What cannot be said is null.
    """
    pairs = [_pair(a, b, metric, unlike.get((a.run, b.run), ()), seed) for a, b in combinations(runs, 2)]
    for row, corrected in zip(pairs, holm([row["p"] for row in pairs]), strict=True):
        row["p_holm"] = corrected
    return pairs


def _pair(a: Contestant, b: Contestant, metric: str, unlike: Sequence[str], seed: int) -> dict[str, Any]:
    both, common = common_ids(a, b)
    row: dict[str, Any] = {"a": a.run, "b": b.run, "metric": metric, "n_common": len(common), "images": 0}
    row |= dict.fromkeys(("value_a", "value_b", "difference", "ci_low", "ci_high", "p", "p_holm"))
    warnings = [*_warnings(a, b, both, common), *a.notes, *b.notes]
    if unlike:
        warnings.append(f"fingerprints differ in more than the model: {'; '.join(unlike)}")
    if common:
        mine, theirs = (np.array([one.values[key] for key in common]) for one in (a, b))
        images = _numbers([a.answers[key].image_path for key in common])
        # As a statistic: a difference is no proportion, even where it is 0 or 1 throughout.
        apart = Column(mine - theirs, images).statistic
        (interval,) = intervals([apart], resamples=RESAMPLES, seed=seed)
        row |= {"images": int(images.max()) + 1, "value_a": float(mine.mean()), "value_b": float(theirs.mean())}
        row |= {"difference": float((mine - theirs).mean()), "p": sign_flip(mine - theirs, images, seed=seed)}
        if interval:
            row |= {"ci_low": interval.low, "ci_high": interval.high}
        elif why := why_none(apart):
            warnings.append(f"no interval for the difference in {metric}: {why}")
    return row | {"warnings": list(dict.fromkeys(warnings))}


def common_ids(a: Contestant, b: Contestant) -> tuple[list[str], list[str]]:
    """The questions that have a value in both runs, and those of them with the same reference: these are compared."""
    both = sorted(a.values.keys() & b.values.keys())
    return both, [key for key in both if normalise(a.answers[key].reference) == normalise(b.answers[key].reference)]


def shared_ids(runs: Sequence[Contestant]) -> list[str]:
    """The questions that have a value in every run and the same reference in all."""
    if not runs:
        return []
    first, *others = runs
    ids = set(first.values).intersection(*(one.values for one in others))
    wanted = {key: normalise(first.answers[key].reference) for key in ids}
    return sorted(key for key in ids if all(normalise(one.answers[key].reference) == wanted[key] for one in others))


def _warnings(a: Contestant, b: Contestant, both: Sequence[str], common: Sequence[str]) -> list[str]:
    warnings = []
    if not both:
        warnings.append("no question in common")
    elif len(both) < max(len(a.values), len(b.values)):
        apart = [f"{len(one.values) - len(both)} only in #{one.run}" for one in (a, b) if len(one.values) > len(both)]
        warnings.append(f"{len(both)} questions in common; {', '.join(apart)}")
    if len(common) < len(both):
        warnings.append(f"{len(both) - len(common)} questions left out: their references differ")
    for one in (a, b):
        if one.coverage < COVERAGE:
            warnings.append(f"#{one.run} answered {one.coverage:.1%} of its questions: below {COVERAGE:.0%}")
    first, second = (answer_hashes([one.answers[key] for key in common]) for one in (a, b))
    if common and first == second:
        warnings.append(f"duplicate: every answer to the {len(common)} common questions is the same")
    return warnings


def sign_flip(differences: Floats, images: NDArray[np.int64], *, flips: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of a mean difference of 0, by changing the signs of whole images' differences at random.

    Fisher's randomisation test (The Design of Experiments, 1935): where both runs were alike, which is a and which b
    would not matter for any image. Never 0: the data as they are count as one of the outcomes.
    """
    sums = np.bincount(images, differences)
    sums = sums[sums != 0].astype(np.float64)
    if not len(sums):
        return 1.0
    rng = np.random.default_rng(seed)
    seen = abs(float(sums.sum())) * (1 - 1e-9)
    extreme, rows = 0, max(1, CELLS // len(sums))
    for start in range(0, flips, rows):
        signs = rng.integers(0, 2, (min(rows, flips - start), len(sums)), dtype=np.int8) * 2.0 - 1
        extreme += int((np.abs(signs @ sums) >= seen).sum())
    return (1 + extreme) / (1 + flips)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's correction (Scand. J. Statist. 6:65, 1979) of those that are numbers."""
    order = sorted((p, at) for at, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, at) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[at] = highest
    return corrected


def ranks(runs: Sequence[Contestant], metric: str, *, seed: int = 0) -> list[dict[str, Any]]:
    """Each run's rank on what all were asked alike, 1 the best, and where it lies in 95 % of resamples.

    Rank intervals by bootstrap over images (Goldstein and Spiegelhalter, J. R. Stat. Soc. A 159:385, 1996). Ties share
    the better rank. A run under 95 % coverage has none, and the others are ranked as if it were not there.

    Returns:
        ``run``, ``metric``, ``n``, ``images``, ``value``, ``rank``, ``rank_low``, ``rank_high``; unknown ones null.
    """
    ranked = [one for one in runs if one.coverage >= COVERAGE]
    common = shared_ids(ranked)
    rows = {
        one.run: {"run": one.run, "metric": metric, "n": len(common), "images": 0}
        | dict.fromkeys(("value", "rank", "rank_low", "rank_high"))
        for one in runs
    }
    if common:
        images = _numbers([ranked[0].answers[key].image_path for key in common])
        values = np.array([[one.values[key] for key in common] for one in ranked])
        low, high = _rank_bounds(values, images, seed)
        best, _ = _ranks(values.mean(1)[None])
        for at, one in enumerate(ranked):
            rows[one.run] |= {
                "images": int(images.max()) + 1,
                "value": float(values[at].mean()),
                "rank": int(best[0, at]),
            }
            if images.max() + 1 >= FEW_IMAGES:
                rows[one.run] |= {"rank_low": int(low[at]), "rank_high": int(high[at])}
    return list(rows.values())


def _rank_bounds(values: Floats, images: NDArray[np.int64], seed: int) -> tuple[Floats, Floats]:
    sums = np.stack([*(np.bincount(images, row) for row in values), np.bincount(images)], axis=1)
    totals = resampled(sums, RESAMPLES, seed)
    best, worst = _ranks(totals[:, :-1] / totals[:, -1:])
    low = np.quantile(best, 0.025, axis=0, method="lower")
    return low, np.quantile(worst, 0.975, axis=0, method="higher")


def _ranks(means: Floats) -> tuple[Floats, Floats]:
    """Best and worst rank (rows, runs) of means (rows, runs) among ties; sums in another order make no difference."""
    means = means.round(9)
    above = (means[:, None, :] > means[:, :, None]).sum(2)
    level = (means[:, None, :] == means[:, :, None]).sum(2)
    return 1 + above, above + level


def _numbers(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(list(names), return_inverse=True)[1].astype(np.int64)
