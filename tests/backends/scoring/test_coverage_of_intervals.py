"""What 95 % intervals are worth: thousands of made-up data sets whose truth is known, eight answers an image.

The figures are asserted with room for chance: with ``n`` intervals of which a share ``p`` holds the truth, the share
that is seen lies within ``3.9 * sqrt(p (1 - p) / n)`` of it in all but one of 10,000 tries (normal approximation of the
binomial; the seeds are fixed besides). ``tests/benchmarks/bench_coverage.py`` measures the whole grid.
"""

from __future__ import annotations

import numpy as np
import pytest

from backends.scoring.intervals import FEW_IMAGES, FEWEST_IMAGES
from tests.benchmarks.bench_coverage import CORRELATIONS, TRUTHS, Cell, measure

pytestmark = pytest.mark.slow

SURE = 3.9
"""Standard errors: chance alone goes further once in 10,000 tries."""


def error(share: float, intervals: int) -> float:
    return SURE * float(np.sqrt(share * (1 - share) / intervals))


def least(cells: list[Cell]) -> None:
    """No cell under 93 %, as far as its intervals can tell."""
    for cell in cells:
        if cell.shown > 100:  # where hardly any set gets an interval, those that do are a choice
            coverage = cell.coverage or 0.0
            assert coverage >= 0.93 - error(0.93, cell.shown), cell


@pytest.mark.parametrize("images", [50, 100])
@pytest.mark.parametrize("kind", ["binary", "share", "any"])
def test_from_fifty_images_on_95_is_94_to_96(kind: str, images: int) -> None:
    sets = 1200
    cells = {
        (truth, correlation): measure(kind, images, truth, correlation, sets, resamples=1000)
        for truth in TRUTHS
        for correlation in CORRELATIONS
    }
    least(list(cells.values()))
    assert all(cell.shown == sets for cell in cells.values()), "from fifty images on everybody has an interval"
    for truth in TRUTHS:
        here = [cells[truth, correlation] for correlation in CORRELATIONS]
        mean = sum(cell.held for cell in here) / (sets * len(here))
        room = error(0.95, sets * len(here))  # 6,000 intervals: 1.1 points
        assert 0.94 - room <= mean <= 0.96 + room, (truth, [cell.coverage for cell in here])
    whole = sum(cell.held for cell in cells.values()) / sum(cell.shown for cell in cells.values())
    assert 0.945 <= whole <= 0.96, whole


@pytest.mark.parametrize("images", [FEWEST_IMAGES, 8, 15, FEW_IMAGES - 1, FEW_IMAGES])
@pytest.mark.parametrize("kind", ["binary", "share", "any"])
def test_few_images_have_an_honest_interval_or_none(kind: str, images: int) -> None:
    cells = [
        measure(kind, images, truth, correlation, 1500, resamples=1000)
        for truth in (0.1, 0.5, 0.9)
        for correlation in (0.0, 0.3, 0.8)
    ]
    if kind == "any" and images < FEW_IMAGES:
        assert all(cell.shown == 0 for cell in cells), "what is no proportion has none then"
        return
    least(cells)


@pytest.mark.parametrize("images", [4, 20, 60])
def test_one_answer_an_image(images: int) -> None:
    least([measure("binary", images, truth, 0.3, 1500, resamples=1000, each=1) for truth in TRUTHS])
