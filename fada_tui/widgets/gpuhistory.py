"""Hours and days of a card, or of the host, as graphs over one time axis with marks where jobs began and ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from fada_tui.format import NA, percent, size
from fada_tui.sources.views import History
from fada_tui.widgets.braille import area
from fada_tui.widgets.line import Line, left, right

if TYPE_CHECKING:
    from db.runs.telemetry import Mark, Span

SPANS = (600.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0, 31 * 86400.0)
NAMES = ("10 minutes", "hour", "6 hours", "day", "week", "month")
_LABEL = 6
_FIGURE = 13
_LEAST = 24
_NONE = float("nan")
_Pick = Callable[["Span"], float | None]


def history_lines(history: History, gpu: int | None, width: int, height: int) -> list[Line]:
    """Graphs of one card (None: the host), an axis and marks, in at most ``height`` lines."""
    columns = width - _LABEL - _FIGURE
    if columns < _LEAST or height < 4:
        return []
    spans = recorded(history, gpu)
    if not spans:
        return [(("Nothing was recorded in this time: samples are kept while jobs run.", "dim"),)]
    kinds = _kinds(spans, host=gpu is None)
    each = max(1, min(6, (height - 2) // len(kinds)))
    lines: list[Line] = []
    for label, pick, top, said in kinds[: max(1, (height - 2) // each)]:
        values = _placed(history, spans, pick, columns * 2)
        graph = area([value / top if value == value else value for value in values], columns, each)
        known = [value for span in spans if (value := pick(span)) is not None]
        figures = [f"{said(max(known))} max" if known else NA]
        for at, row in enumerate(graph):
            name = label if at == 0 else ""
            figure = figures[at] if at < len(figures) else ""
            lines.append(((left(name, _LABEL), "dim"), (row, "graph"), (right(figure, _FIGURE), "dim")))
    return [*lines, _marks(history, columns), _axis(history, columns)]


def recorded(history: History, gpu: int | None) -> list[Span]:
    """What was recorded of one card (None: of the host)."""
    from db.runs.telemetry import HOST

    return [span for span in history.spans if span.gpu == (HOST if gpu is None else gpu)]


def _kinds(spans: Sequence[Span], *, host: bool) -> list[tuple[str, _Pick, float, Callable[[float], str]]]:
    """Label, value, the scale's top, and how a value is said."""
    total = max((span.memory_total or 0 for span in spans), default=0) or 1
    memory: _Pick = lambda span: span.memory_used  # noqa: E731 - one of a row of such
    busy: _Pick = lambda span: span.utilisation  # noqa: E731
    if host:
        return [("cpu", busy, 1.0, percent), ("ram", memory, float(total), size)]
    watts = max((span.power_w or 0 for span in spans), default=0.0)
    return [
        ("util", busy, 1.0, percent),
        ("vram", memory, float(total), size),
        ("power", lambda span: span.power_w, max(watts, 1.0), lambda value: f"{value:.0f} W"),
        ("temp", lambda span: span.temperature_c, 100.0, lambda value: f"{value:.0f} °C"),
    ]


def _placed(history: History, spans: Sequence[Span], pick: _Pick, columns: int) -> list[float]:
    """A value a dot column: each stretch reaches to the next one where that is near, gaps stay empty."""
    values = [_NONE] * columns
    width = history.until - history.since
    starts = [span.start for span in spans]
    usual = min((b - a for a, b in pairwise(starts)), default=60.0)
    for span in spans:
        value = pick(span)
        if value is None:
            continue
        first = int((span.start - history.since) / width * columns)
        last = int((span.start + usual - history.since) / width * columns)
        for column in range(max(0, first), min(columns, max(last, first + 1))):
            values[column] = value
    return values


def _marks(history: History, columns: int) -> Line:
    """``▸12`` where #12 began, ``◂12`` where it ended; where two do not fit, the earlier one stays."""
    row = [" "] * columns
    free = 0
    for mark in history.marks:
        at = _column(history, mark, columns)
        text = f"{'▸' if mark.begins else '◂'}{mark.run}"
        at = min(at, columns - len(text))
        if at >= free:
            row[at : at + len(text)] = text
            free = at + len(text)
    return ((left("jobs", _LABEL), "dim"), ("".join(row), "running"), (" " * _FIGURE, ""))


def _column(history: History, mark: Mark, columns: int) -> int:
    share = (mark.time - history.since) / max(1.0, history.until - history.since)
    return max(0, min(columns - 1, int(share * columns)))


def _axis(history: History, columns: int) -> Line:
    long = history.until - history.since > 86400.0
    form = "%d %b %H:%M" if long else "%H:%M"
    begin, middle, end = (
        time.strftime(form, time.localtime(moment))
        for moment in (history.since, (history.since + history.until) / 2, history.until)
    )
    gap = columns - len(begin) - len(middle) - len(end)
    before = max(1, gap // 2)
    text = f"{begin}{' ' * before}{middle}{' ' * max(1, gap - before)}{end}"
    return ((" " * _LABEL, ""), (text, "dim"))
