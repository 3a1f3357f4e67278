from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from backends.scoring.intervals import FEW_IMAGES, Column, Interval, intervals, wilson
from backends.scoring.resampling import student


def column(correct: NDArray[np.float64]) -> Column:
    """``correct`` (images, answers an image)."""
    images, each = correct.shape
    return Column(correct.ravel().astype(np.float64), np.repeat(np.arange(images), each))


def draw(rng: np.random.Generator, images: int, each: int, share: float, correlation: float) -> Column:
    """0/1 answers from a beta-binomial: mean ``share``, intraclass correlation as given."""
    size = 1 / correlation - 1
    chances = rng.beta(share * size, (1 - share) * size, images)
    return column((rng.random((images, each)) < chances[:, None]).astype(np.float64))


def only(found: list[Interval | None]) -> Interval:
    (interval,) = found
    assert interval is not None
    return interval


def test_wilson_of_independent_answers_is_the_textbook_interval() -> None:
    """One answer an image: Wilson's formula as scipy has it, but for Student's quantile."""
    correct = np.zeros((2000, 1))
    correct[:1400] = 1
    found = wilson(column(correct))
    expected = stats.binomtest(1400, 2000).proportion_ci(0.95, "wilson")
    assert found.effective_n == 2000
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


@pytest.mark.parametrize("freedom", [3, 4, 8, 29, 500])
def test_student_quantile(freedom: int) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-3)


def test_bca_agrees_with_scipy() -> None:
    correct = (np.random.default_rng(3).random((80, 1)) < 0.8).astype(np.float64)
    ours = only(intervals([column(correct)], resamples=20_000))
    theirs = stats.bootstrap((correct.ravel(),), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    assert ours.method == "bca"
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.013)  # one answer of 80


def test_answers_that_share_an_image_count_once() -> None:
    """Eight copies of the same answer say no more than one."""
    one = (np.random.default_rng(0).random((100, 1)) < 0.7).astype(np.float64)
    single, copied = (only(intervals([column(np.repeat(one, each, axis=1))])) for each in (1, 8))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high), abs=1e-12)
    quick = [only(intervals([column(np.repeat(one, each, axis=1))], resamples=0)) for each in (1, 8)]
    assert quick[0].effective_n == pytest.approx(100) and quick[1].effective_n == pytest.approx(100)


def test_few_images_or_alike_answers_give_wilson_or_nothing() -> None:
    rng = np.random.default_rng(0)
    few = draw(rng, FEW_IMAGES - 1, 4, 0.6, 0.2)
    assert only(intervals([few])).method == "wilson"
    perfect = only(intervals([column(np.ones((200, 4)))]))
    assert perfect.method == "wilson" and perfect.high == 1 and 0.97 < perfect.low < 0.99
    assert perfect.effective_n == 200, "nothing tells whether the answers of an image agree: they count once"
    assert intervals([column(np.ones((3, 8)))]) == [None]
    cosine = Column(rng.uniform(0.3, 1, 80), np.repeat(np.arange(20), 4))
    assert intervals([cosine]) == [None]
    alike = Column(np.r_[np.ones(195), 0.2 * np.ones(5)], np.arange(200))
    assert intervals([alike]) == [None]
    assert only(intervals([Column(rng.uniform(0.3, 1, 400), np.repeat(np.arange(100), 4))])).method == "bca"


def test_same_seed_same_interval_and_columns_do_not_disturb_each_other() -> None:
    rng = np.random.default_rng(5)
    first, second = draw(rng, 60, 4, 0.5, 0.2), draw(rng, 60, 4, 0.8, 0.2)
    together = intervals([first, second], resamples=2000, seed=9)
    assert together == intervals([first, second], resamples=2000, seed=9)
    for alone, both in zip((first, second), together, strict=True):
        one = only(intervals([alone], resamples=2000, seed=9))
        assert both is not None and (one.low, one.high) == pytest.approx((both.low, both.high), abs=1e-9)
    assert intervals([first, second], resamples=2000, seed=10) != together


def test_images_without_this_question_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    values = (rng.random(50) < 0.6).astype(np.float64)
    everywhere = Column(np.ones(4000), np.arange(4000))
    rare = Column(values, np.arange(50) * 80)
    found = intervals([everywhere, rare], resamples=2000)[1]
    assert found is not None and np.isfinite([found.low, found.high]).all() and 0.3 < found.low < found.high < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("images", [8, 20, 35, 100])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_the_interval_covers_the_truth(images: int, share: float) -> None:
    """Of 600 data sets drawn with a known share, 95 % of the intervals should hold it; three standard errors of
    that estimate are 2.7 points."""
    rng = np.random.default_rng(images)
    held = 0
    for _ in range(600):
        found = only(intervals([draw(rng, images, 4, share, 0.3)], resamples=800))
        held += found.low <= share <= found.high
    assert held / 600 > 0.95 - 0.027


def test_proportion_bounds_stay_in_range() -> None:
    for share in (0.0, 1.0):
        found = only(intervals([column(np.full((5, 4), share))]))
        assert 0 <= found.low < found.high <= 1
        assert found.low <= share <= found.high
