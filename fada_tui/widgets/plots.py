"""Plots of one line each, in characters that need no colour: intervals around zero, bars with whiskers, histograms.

A value is ``●``, its 95 % interval ``├──┤``, a floor ``◆`` (``◈`` where both are), a threshold ``┃``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fada_tui.widgets.braille import bar
from fada_tui.widgets.curvelines import nice_top

POINT, FLOOR, BOTH, THRESHOLD, ZERO = "●", "◆", "◈", "┃", "│"
_ENDS = ("├", "┤")


@dataclass(frozen=True)
class Scale:
    """What the first and the last cell stand for."""

    low: float
    high: float

    def cell(self, value: float, width: int) -> int:
        """The cell of a value; beyond the scale, the one at its edge."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return round(min(1.0, max(0.0, share)) * (width - 1))


def around_zero(values: Iterable[float | None]) -> Scale:
    """The scale of differences: as far to either side as the farthest of them, at a round figure."""
    reach = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    top = nice_top(reach) if reach else 1.0
    return Scale(-top, top)


def of_scores(values: Iterable[float | None]) -> Scale:
    """0..1; from -1 where a value is under 0 (cosine, correlation); beyond 1 to the next round figure (a rate)."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    low = -1.0 if min(known, default=0.0) < 0 else 0.0
    highest = max(known, default=1.0)
    return Scale(low, 1.0 if highest <= 1 else nice_top(highest))


def forest(value: float | None, low: float | None, high: float | None, scale: Scale, width: int) -> str:
    """``····│··├─●──┤`` in exactly ``width`` cells; blank but for the zero where there is no value."""
    cells = [" "] * width
    zero = scale.cell(0.0, width)
    cells[zero] = ZERO
    _whisker(cells, low, high, scale)
    if cells[zero] == "─":
        cells[zero] = "┼"
    if value is not None:
        cells[scale.cell(value, width)] = POINT
    return "".join(cells)


def score_bar(
    value: float, low: float | None, high: float | None, scale: Scale, width: int, floor: float | None = None
) -> str:
    """``━━━━━━━├──●─┤`` in exactly ``width`` cells, from the scale's zero to the value; the floor ``◆`` over it."""
    cells = [" "] * width
    start, end = sorted((scale.cell(0.0, width), scale.cell(value, width)))
    cells[start : end + 1] = "━" * (end + 1 - start)
    _whisker(cells, low, high, scale)
    _put(cells, value, floor, scale)
    return "".join(cells)


def threshold_bar(value: float, reference: float | None, threshold: float | None, width: int) -> str:
    """A share of 0..1 as ``━━━●   ◆    ┃``: the value, what it would be by the reference, where the alarm rings."""
    scale = Scale(0.0, 1.0)
    cells = [" "] * width
    cells[: scale.cell(value, width) + 1] = "━" * (scale.cell(value, width) + 1)
    if threshold is not None:
        cells[scale.cell(threshold, width)] = THRESHOLD
    _put(cells, value, reference, scale)
    return "".join(cells)


def axis(scale: Scale, width: int) -> str:
    """The figures under the ends and, where there is room, the middle of a scale."""
    cells = [" "] * width
    middle = (scale.low + scale.high) / 2
    marks = [(0, f"{scale.low:g}"), (width, f"{scale.high:g}")]
    if width >= 16:
        marks.insert(1, (width // 2, f"{middle:g}"))
    for place, text in marks:
        start = max(0, min(width - len(text), place - (len(text) // 2 if 0 < place < width else 0)))
        cells[start : start + len(text)] = text
    return "".join(cells[:width])


@dataclass(frozen=True)
class Bin:
    """``low`` ≤ value < ``high``; of the last one also its end."""

    low: float
    high: float
    count: int


def bins(counts: dict[float, int], wanted: int = 10) -> list[Bin]:
    """Of values and how often each is there: equal bins over 0..1, or -1..1 where one is under 0.

    Where there are few distinct values (right or wrong), each is a bin of its own.
    """
    if not counts:
        return []
    if len(counts) <= 5:
        return [Bin(value, value, counts[value]) for value in sorted(counts)]
    scale = of_scores(counts)
    step = (scale.high - scale.low) / wanted
    found = [0] * wanted
    for value, times in counts.items():
        found[min(wanted - 1, max(0, int((value - scale.low) / step + 1e-9)))] += times
    return [Bin(scale.low + step * at, scale.low + step * (at + 1), times) for at, times in enumerate(found)]


def histogram_bar(one: Bin, every: Sequence[Bin], width: int) -> str:
    """The bin's share of the fullest one, in exactly ``width`` cells; what is there at all shows."""
    most = max(other.count for other in every) or 1
    drawn = bar(one.count / most, width)
    return drawn if drawn.strip() or not one.count else "▏" + " " * (width - 1)


def _put(cells: list[str], value: float, floor: float | None, scale: Scale) -> None:
    """The value and the floor; where they fall on one cell, a sign for both."""
    here = scale.cell(value, len(cells))
    cells[here] = POINT
    if floor is not None:
        there = scale.cell(floor, len(cells))
        cells[there] = BOTH if there == here else FLOOR


def _whisker(cells: list[str], low: float | None, high: float | None, scale: Scale) -> None:
    if low is None or high is None:
        return
    start, end = scale.cell(low, len(cells)), scale.cell(high, len(cells))
    cells[start : end + 1] = "─" * (end + 1 - start)
    cells[start], cells[end] = _ENDS
