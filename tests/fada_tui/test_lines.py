"""Lines, bars and graphs: exact widths, safe text, fixed scales."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fada_tui.widgets.braille import area, bar, parts, plot, spark
from fada_tui.widgets.line import Line, changed_columns, clip, cut, left, line_width, right, spread, strip_of, wrap
from fada_tui.widgets.palettes import DARK

TEXT = st.text(max_size=40)
WIDTH = st.integers(1, 60)


def is_safe(text: str) -> bool:
    return not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in text)


@given(TEXT, WIDTH)
def test_cut_fits_and_is_safe(text: str, width: int) -> None:
    assert cell_len(cut(text, width)) <= width
    assert is_safe(cut(text, width))


@given(TEXT, WIDTH)
def test_columns_are_exactly_as_wide_as_asked(text: str, width: int) -> None:
    assert cell_len(left(text, width)) == width
    assert cell_len(right(text, width)) == width


@given(TEXT, TEXT, WIDTH)
def test_spread_fills_the_line(begin: str, end: str, width: int) -> None:
    line = spread(((begin, ""),), ((end, "dim"),), width)
    assert line_width(line) == width


@given(TEXT, WIDTH)
def test_a_strip_never_holds_a_control_character(text: str, width: int) -> None:
    strip = strip_of(((text, ""),), width, DARK)
    assert is_safe(strip.text)
    assert strip.cell_length == width


@given(TEXT, st.integers(2, 40), st.integers(1, 5))
def test_wrap_keeps_to_its_box(text: str, width: int, limit: int) -> None:
    lines = wrap(text, width, limit)
    assert len(lines) <= limit
    assert all(cell_len(line) <= width for line in lines)


@given(st.lists(st.tuples(TEXT, st.sampled_from(["", "dim"])), max_size=4), WIDTH)
def test_clip_fits(spans: list[tuple[str, str]], width: int) -> None:
    assert line_width(clip(tuple(spans), width)) <= width


@pytest.mark.parametrize(
    ("old", "new", "columns"),
    [
        ((("a", ""), ("12", ""), ("b", "")), (("a", ""), ("34", ""), ("b", "")), (1, 3)),
        ((("a", ""),), (("a", ""),), None),
        ((("ab", ""),), (("ab", "dim"),), (0, 2)),
        ((("a", ""), ("b", "")), (("a", ""), ("bcd", "")), (1, 4)),
        ((("a", ""), ("bcd", "")), (("a", ""),), (1, 4)),
    ],
)
def test_changed_columns(old: Line, new: Line, columns: tuple[int, int] | None) -> None:
    assert changed_columns(old, new) == columns


@given(st.floats(allow_nan=False, allow_infinity=True), st.integers(0, 30))
def test_a_bar_is_exactly_as_wide_as_asked(fraction: float, width: int) -> None:
    assert len(bar(fraction, width)) == width


def test_bars_are_full_only_when_they_are() -> None:
    assert bar(1.0, 4) == "████"
    assert bar(0.5, 4) == "██  "
    assert bar(None, 4) == "    "
    assert bar(0.99, 10) != "█" * 10


@given(st.lists(st.floats(0, 1), max_size=6), st.integers(1, 60))
def test_parts_never_exceed_the_bar(shares: list[float], width: int) -> None:
    cells = parts([share / max(1.0, sum(shares)) for share in shares], width)
    assert sum(cells) <= width
    assert all(cell >= 0 for cell in cells)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(allow_infinity=False)), max_size=50))
def test_a_plot_is_as_large_as_asked_whatever_the_points(points: list[tuple[float, float]]) -> None:
    lines = plot(points, 12, 3, x=(0.0, 100.0), y=(0.0, 1.0))
    assert [len(line) for line in lines] == [12] * 3


def test_a_plot_goes_from_corner_to_corner() -> None:
    lines = plot([(0.0, 0.0), (1.0, 1.0)], 2, 1, x=(0.0, 1.0), y=(0.0, 1.0))
    assert lines == ["⡠⠊"]


def test_the_scale_is_fixed() -> None:
    assert area([0.5, 0.5], 1, 1) == ["⣤"]
    assert area([1.0, 0.0], 1, 1) == ["⡇"]
    assert spark([0.0, 0.5, 1.0], 3) == "▁▅█"
