"""The curves of the Run pane: which of them are drawn, on what scale, and how far their values spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from fada_tui.format import number, score
from fada_tui.sources.views import RunView
from fada_tui.widgets.braille import BLANK, plot, shade
from fada_tui.widgets.line import Line, spread

if TYPE_CHECKING:
    from db.runs.rows import MetricPoint

LOSSES = ("loss", "train_loss", "training_loss")
SCORES = ("eval_exact", "eval_cosine", "exact", "cosine", "eval_accuracy", "accuracy")
_NARROW = 40
_LOG_FROM = 10


@dataclass(frozen=True)
class Curve:
    """Points with the token of their colour."""

    points: Sequence[MetricPoint]
    token: str
    top: float | None = None
    """Where the scale ends by nature."""
    signed: bool = False
    """Whether values under 0 mean something."""


def curves(view: RunView) -> list[Curve]:
    """The loss curve and the score curve, by the names that say so; where there is neither, the first two of others."""
    loss, score = _first(view, LOSSES, "loss"), _first(view, SCORES, None)
    named = [Curve(loss, "graph")] * bool(loss) + [Curve(score, "graph2", 1.0)] * bool(score)
    if named:
        return named
    found = [points for _, points in sorted(view.curves.items()) if points]
    return [Curve(points, token, signed=True) for points, token in zip(found, ("graph", "graph2"), strict=False)]


def _first(view: RunView, names: Sequence[str], part: str | None) -> Sequence[MetricPoint]:
    for name in names:
        if view.curves.get(name):
            return view.curves[name]
    loose = sorted(name for name in view.curves if part and part in name)
    return view.curves[loose[0]] if loose else ()


def last_step(view: RunView) -> int:
    """Where the x scale ends: the planned steps of a fine-tune, so that it stands still, else the last step seen."""
    run = view.run
    planned = run.total or 0 if (run.unit or "").startswith("step") else 0
    return max([planned, *(points[-1].step for points in view.curves.values() if points)])


def curve_lines(curve: Curve, *, end: int, width: int, height: int) -> list[Line]:
    """One curve: a line of name, last value and scale over ``height`` rows of braille, on 0..end by 0..top.

    A loss has no natural top: the scale goes to the next of 1, 2, 5 × 10ⁿ over its highest value, and is logarithmic
    where that is needed to see more than its first steps. Where a point is the mean of many steps, what these reached
    lies around it as a band.
    """
    finite = [point for point in curve.points if math.isfinite(point.value)]
    if not finite:
        return []
    spans = [_span(point) for point in finite]
    reached = [value for span in spans for value in span]
    floor, ceiling = _scale(curve, reached)
    log = floor > 0
    scale = f"{'log ' if log else ''}{floor:g}–{ceiling:g}"
    scale += f", step {finite[-1].step:,}/{end:,}" if width >= _NARROW else ""
    last = score(finite[-1].value) if curve.top else number(finite[-1].value)
    head = spread(((f"{finite[0].name} ", "dim"), (last, "title")), ((scale, "dim"),), width)
    if height <= 0:
        return [head]

    def y(value: float) -> float:
        # What has no logarithm is drawn at the bottom edge; NaN stays the gap that it is.
        return math.log10(max(floor, value)) if log and value == value else value

    line = [(float(point.step), y(point.value)) for point in curve.points]
    scales = {"x": (0.0, float(max(1, end))), "y": (y(floor), y(ceiling))}
    under = [""] * height
    if any(low < high for low, high in spans):
        band = [(float(point.step), y(low), y(high)) for point, (low, high) in zip(finite, spans, strict=True)]
        under = shade(band, width, height, **scales)
    return [head, *map(_overlaid, plot(line, width, height, **scales), under, [curve.token] * height)]


def _scale(curve: Curve, reached: Sequence[float]) -> tuple[float, float]:
    if curve.top:
        return 0.0, curve.top
    if curve.signed and min(reached) < 0:
        return -nice_top(-min(reached)), nice_top(max(reached)) if max(reached) > 0 else 0.0
    return loss_scale(reached)


def _span(point: MetricPoint) -> tuple[float, float]:
    """The least and the greatest that it is the mean of."""
    low = point.low if point.low is not None and math.isfinite(point.low) else point.value
    high = point.high if point.high is not None and math.isfinite(point.high) else point.value
    return min(low, point.value), max(high, point.value)


def _overlaid(line: str, under: str, token: str) -> Line:
    """A row of the curve over the same row of its band: where both are, the curve."""
    if not under:
        return ((line, token),)
    cells = ((over, token) if over != BLANK else (below, "dim") for over, below in zip(line, under, strict=True))
    return tuple(("".join(cell for cell, _ in run), kind) for kind, run in groupby(cells, key=itemgetter(1)))


_TINY, _HUGE = 1e-300, 1e300
"""Beyond these a power of ten is no ordinary float any more."""


def loss_scale(values: Sequence[float]) -> tuple[float, float]:
    """Bottom and top of the scale for finite values; a bottom over 0 means a logarithmic one.

    That is where the highest value is over 10 times the lowest positive one.
    """
    lowest = min((value for value in values if value > _TINY), default=0.0)
    highest = max(values)
    if not lowest or highest / lowest <= _LOG_FROM:
        return 0.0, nice_top(highest)
    return nice_bottom(lowest), nice_top(highest)


def nice_bottom(value: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ at or under a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (5, 2, 1, 0.5) if step * power <= value * (1 + 1e-9))


def nice_top(value: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ at or over a positive value, so that the scale rarely moves."""
    if value <= _TINY:
        return 1.0
    value = min(value, _HUGE)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))
