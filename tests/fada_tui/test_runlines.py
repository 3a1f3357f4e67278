"""The parts of the Run pane: what a curve's scale is, and that it is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.runs.rows import Message, MetricPoint
from fada_tui.widgets.curvelines import Curve, curve_lines, loss_scale, nice_bottom, nice_top
from fada_tui.widgets.line import Row, line_width, plain
from fada_tui.widgets.runlines import message_lines, score_lines
from tests.fada_tui import panel


def curve(*values: float) -> Sequence[MetricPoint]:
    return [MetricPoint("loss", step, value, 0.0) for step, value in enumerate(values)]


def drawn(*values: float, top: float | None = None, width: int = 60) -> list[str]:
    lines = curve_lines(Curve(curve(*values), "graph", top), end=len(values), width=width, height=4)
    return plain([Row(line) for line in lines]).split("\n")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((10.0, 0.9, 0.06), "log 0.05–10"),
        ((3.0, 0.3), "0–5"),
        ((3.0, 0.29), "log 0.2–5"),
        ((3.0, 0.0, -1.0), "0–5"),
        ((0.0,), "0–1"),
        ((10.0, float("inf"), float("nan"), 0.0, 0.06), "log 0.05–10"),
    ],
)
def test_a_loss_over_more_than_one_power_of_ten_is_drawn_on_a_log_scale(values: tuple[float, ...], scale: str) -> None:
    assert f" {scale}, step " in drawn(*values)[0]


def test_on_a_log_scale_the_tail_of_a_loss_is_no_flat_line() -> None:
    falling = [10.0 * 0.5**step for step in range(8)]
    rows = [
        next(index for index, line in enumerate(drawn(*falling)[1:]) if line[cell : cell + 1] > "\u2800")
        for cell in (0, 20, 45)
    ]
    assert rows[0] < rows[1] < rows[2]


def test_a_score_has_a_scale_of_its_own_from_nought() -> None:
    assert " 0–1, step " in drawn(0.01, 0.9, top=1.0)[0]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30), st.integers(20, 60))
def test_a_curve_keeps_to_its_box_whatever_the_values(values: list[float], width: int) -> None:
    lines = curve_lines(Curve(curve(*values), "graph"), end=len(values), width=width, height=3)
    assert all(line_width(line) == width for line in lines)
    assert len(lines) in (0, 4)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_the_scale_holds_every_value(one: float, other: float) -> None:
    low, high = loss_scale([one, other])
    assert low <= min(one, other) * (1 + 1e-9)
    assert high >= max(one, other) * (1 - 1e-9)
    assert nice_bottom(one) <= one * (1 + 1e-9) and one * (1 - 1e-9) <= nice_top(one)
    assert math.isfinite(low)


def test_what_a_mean_stands_for_lies_around_it_as_a_band() -> None:
    means = [replace(point, low=point.value / 2, high=point.value * 2) for point in curve(1.0, 1.0, 1.0, 1.0)]
    lines = curve_lines(Curve(means, "graph"), end=3, width=40, height=6)
    assert " 0–2," in plain([Row(lines[0])])
    tokens = [{token for text, token in line if set(text) != {"\u2800"}} for line in lines[1:]]
    assert tokens[0] == {"dim"} and {"graph"} in tokens and tokens[-1] == set()
    bare = curve_lines(Curve(curve(1.0, 1.0), "graph"), end=3, width=40, height=6)
    assert all(token == "graph" for line in bare[1:] for _, token in line)


@pytest.mark.parametrize("width", [32, 34, 45, 64, 120])
def test_no_floor_is_cut_however_narrow_the_pane_is(width: int) -> None:
    one = replace(panel.score(4, 0.96), floors={"majority": 0.36, "shuffled": 0.32, "text_only": 0.41})
    text = plain([Row(line) for line in score_lines([one], width)])
    assert all(f"0.{figure}" in text for figure in (36, 32, 41, 52))
    assert "…" not in text and max(map(len, text.split("\n"))) <= width
    assert all(f"{name} 0.{figure}" in text for name, figure in (("majority", 36), ("shuffled", 32), ("text_only", 41)))


def test_a_message_that_one_line_has_no_room_for_takes_two() -> None:
    said = "one image could not be read and was left out of it"
    lines = message_lines([Message(1.0, "warning", said), Message(2.0, "info", "short")], 34, 2)
    assert plain([Row(line) for line in lines]).split("\n") == [
        "⚠ one image could not be read and",
        "  was left out of it",
        "· short",
    ]
