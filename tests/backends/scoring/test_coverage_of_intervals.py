"""What 95 % intervals are worth: thousands of made-up data sets whose truth is known, answers sharing images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.scoring.intervals import FEW_IMAGES, Column, intervals

pytestmark = pytest.mark.slow

Draw = Callable[[np.random.Generator, int, int, float, float], NDArray[np.float64]]
RESAMPLES = 400


def right_or_wrong(
    rng: np.random.Generator, images: int, each: int, share: float, correlation: float
) -> NDArray[np.float64]:
    """0/1 answers (images, each) from a beta-binomial: mean ``share``, intraclass correlation as given."""
    size = 1 / correlation - 1
    chances = rng.beta(share * size, (1 - share) * size, images)
    return (rng.random((images, each)) < chances[:, None]).astype(np.float64)


def half_credit(
    rng: np.random.Generator, images: int, each: int, share: float, correlation: float
) -> NDArray[np.float64]:
    """0, ½ or 1."""
    return right_or_wrong(rng, images, 2 * each, share, correlation).reshape(images, each, 2).mean(2)


def graded(rng: np.random.Generator, images: int, each: int, share: float, correlation: float) -> NDArray[np.float64]:
    """Anything in 0..1, as a cosine: the mean of twelve, so that the answers are seldom alike."""
    return (
        right_or_wrong(rng, images, 12 * each, share, correlation).reshape(images, each, 12).mean(2) * 0.5 + share * 0.5
    )


def covered(draw: Draw, images: int, each: int, share: float, correlation: float, sets: int) -> float:
    """Share of the data sets whose interval holds the truth, of those that get one."""
    rng = np.random.default_rng([images, each, int(share * 100), int(correlation * 100)])
    held = shown = 0
    for _ in range(sets):
        values = draw(rng, images, each, share, correlation)
        column = Column(values.ravel(), np.repeat(np.arange(images), each), share=draw is not graded)
        (found,) = intervals([column], resamples=RESAMPLES, seed=int(rng.integers(1 << 30)))
        if found is not None:
            shown += 1
            held += found.low <= share <= found.high
    assert shown > 0.99 * sets or draw is graded, "who gets an interval must not depend on the answers"
    return held / shown


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_eight_questions_an_image_from_fifty_images_on(share: float) -> None:
    found = [
        covered(right_or_wrong, images, 8, share, correlation, 1000)
        for images in (50, 100)
        for correlation in (0.1, 0.3, 0.5)
    ]
    assert 0.94 <= np.mean(found) <= 0.96, found
    assert min(found) >= 0.93, found


@pytest.mark.parametrize("draw", [right_or_wrong, half_credit, graded])
@pytest.mark.parametrize("images", [8, FEW_IMAGES - 1, FEW_IMAGES, 60])
def test_few_images_and_other_values(draw: Draw, images: int) -> None:
    if draw is graded and images < FEW_IMAGES:
        (found,) = intervals(
            [Column(graded(np.random.default_rng(0), images, 8, 0.5, 0.3).ravel(), np.repeat(np.arange(images), 8))]
        )
        assert found is None
        return
    for share in (0.1, 0.5, 0.9):
        for each in (1, 8):
            # 93 %, less two standard errors of what 800 sets can tell.
            assert covered(draw, images, each, share, 0.3, 800) >= 0.912, (share, each)
