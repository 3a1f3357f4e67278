"""Plots of one line: what stands in which cell, without a colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fada_tui.widgets.plots import (
    Scale,
    around_zero,
    axis,
    bins,
    forest,
    histogram_bar,
    of_scores,
    score_bar,
    threshold_bar,
)

values = st.floats(-3, 3, allow_nan=False)


def test_an_interval_around_zero() -> None:
    scale = Scale(-1.0, 1.0)
    assert forest(0.5, 0.2, 0.8, scale, 21) == "          │ ├──●──┤  "
    assert forest(0.1, -0.3, 0.5, scale, 21) == "       ├──┼●───┤     "
    assert forest(None, None, None, scale, 5) == "  │  "


def test_a_score_with_whiskers_and_its_floor() -> None:
    scale = Scale(0.0, 1.0)
    assert score_bar(0.6, 0.5, 0.7, scale, 11) == "━━━━━├●┤   "
    assert score_bar(0.6, None, None, scale, 11, floor=0.3) == "━━━◆━━●    "
    assert score_bar(0.6, 0.5, 0.7, scale, 11, floor=0.6) == "━━━━━├◈┤   "
    assert score_bar(-0.5, None, None, Scale(-1.0, 1.0), 11) == "  ●━━━     "


def test_where_the_alarm_rings() -> None:
    assert threshold_bar(0.2, 0.4, 0.9, 11) == "━━● ◆    ┃ "
    assert threshold_bar(1.0, 0.5, None, 11) == "━━━━━◆━━━━●"


def test_scales_stand_at_round_figures() -> None:
    assert around_zero([0.03, -0.07, None]) == Scale(-0.1, 0.1)
    assert around_zero([]) == Scale(-1.0, 1.0)
    assert of_scores([0.2, None]) == Scale(0.0, 1.0)
    assert of_scores([-0.1, 0.4]) == Scale(-1.0, 1.0)
    assert of_scores([17.0]) == Scale(0.0, 20.0)
    assert axis(Scale(-1.0, 1.0), 21) == "-1        0         1"


def test_right_and_wrong_are_two_bins_and_many_values_ten() -> None:
    assert [(one.low, one.count) for one in bins({0.0: 3, 1.0: 7})] == [(0.0, 3), (1.0, 7)]
    found = bins({at / 100: 1 for at in range(101)})
    assert [one.count for one in found] == [10] * 9 + [11]
    assert bins({}) == []
    assert histogram_bar(found[0], found, 20).count("█") == 18
    few = bins({0.0: 1, 1.0: 100_000})
    assert histogram_bar(few[0], few, 20) == "▏" + " " * 19


@given(value=values, low=values, high=values, width=st.integers(8, 200))
def test_a_plot_is_as_wide_as_it_was_asked_to_be(value: float, low: float, high: float, width: int) -> None:
    low, high = sorted((low, high))
    scale = of_scores([value, low, high])
    assert len(forest(value, low, high, around_zero([value, low, high]), width)) == width
    assert len(score_bar(value, low, high, scale, width, floor=low)) == width
    assert len(axis(scale, width)) == width
    assert len(threshold_bar(min(1, abs(value)), None, 0.9, width)) == width


@given(st.dictionaries(st.floats(-1, 1).map(lambda one: round(one, 3)), st.integers(1, 9), min_size=1))
def test_every_value_is_in_one_bin(counts: dict[float, int]) -> None:
    assert sum(one.count for one in bins(counts)) == pytest.approx(sum(counts.values()))
