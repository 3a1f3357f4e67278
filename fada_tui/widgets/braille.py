"""Small graphs in braille: 2 × 4 dots a cell, a fixed scale, one style for the whole graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BLANK = "\u2800"
"""A cell without a dot."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


def resample(values: Sequence[float], count: int) -> list[float]:
    """At most ``count`` values: means of equal buckets."""
    if len(values) <= count:
        return list(values)
    edges = [index * len(values) // count for index in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def plot(
    points: Sequence[tuple[float, float]], width: int, height: int, *, x: tuple[float, float], y: tuple[float, float]
) -> list[str]:
    """A line through (x, y) points on the given scales: ``height`` strings of ``width`` cells.

    Values beyond the scale are drawn at its edge.
    """
    rows = height * 4
    cells = [[0] * width for _ in range(height)]
    across, up = _scaler(x, width * 2), _scaler(y, rows)
    previous: tuple[int, int] | None = None
    for value_x, value_y in points:
        if value_y != value_y:
            previous = None
            continue
        here = across(value_x), rows - 1 - up(value_y)
        if here == previous:
            continue
        for column, row in _between(previous or here, here):
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
        previous = here
    return ["".join(chr(0x2800 + cell) for cell in line) for line in cells]


def shade(
    spans: Sequence[tuple[float, float, float]],
    width: int,
    height: int,
    *,
    x: tuple[float, float],
    y: tuple[float, float],
) -> list[str]:
    """What lies between low and high of each (x, low, high), every other dot of it, on the scales of :func:`plot`."""
    rows = height * 4
    cells = [[0] * width for _ in range(height)]
    across, up = _scaler(x, width * 2), _scaler(y, rows)
    # None twice: of a long curve many points fall together.
    edges = [edge for edge, _ in groupby((across(at), up(low), up(high)) for at, low, high in spans)]
    for start, end in pairwise(edges) if len(edges) > 1 else [(edge, edge) for edge in edges]:
        steps = max(1, end[0] - start[0])
        for column in range(start[0], end[0] + 1):
            share = (column - start[0]) / steps
            low, high = (round(a + (b - a) * share) for a, b in zip(start[1:], end[1:], strict=True))
            top = rows - 1 - high
            for row in range(top + (column + top) % 2, rows - low, 2):
                cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
    return ["".join(chr(0x2800 + cell) for cell in line) for line in cells]


def _scaler(scale: tuple[float, float], steps: int) -> Callable[[float], int]:
    """On which of so many dots a value lies; at the edge where it is beyond the scale."""
    low, high = scale
    last, span = steps - 1, high - low

    def scaled(value: float) -> int:
        if value <= low or span <= 0:
            return 0
        return last if value >= high else round((value - low) / span * last)

    return scaled


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Every dot from start to end, the nearest to the straight line."""
    if start[0] == end[0]:
        return [(end[0], row) for row in range(min(start[1], end[1]), max(start[1], end[1]) + 1)]
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (round(start[0] + (end[0] - start[0]) * i / steps), round(start[1] + (end[1] - start[1]) * i / steps))
        for i in range(steps + 1)
    ]


def area(values: Sequence[float], width: int, height: int, high: float = 1.0) -> list[str]:
    """A filled history with the newest value at the right, on the scale 0..high: ``height`` strings."""
    columns, rows = width * 2, height * 4
    newest = list(values)[-columns:]
    offset = columns - len(newest)
    cells = [[0] * width for _ in range(height)]
    for index, value in enumerate(newest, offset):
        filled = 0 if value != value or high <= 0 else round(min(1.0, max(0.0, value / high)) * rows)
        for row in range(rows - filled, rows):
            cells[row // 4][index // 2] |= _DOTS[index % 2][row % 4]
    return ["".join(chr(0x2800 + cell) for cell in line) for line in cells]


def bar(fraction: float | None, width: int) -> str:
    """A bar of exactly ``width`` cells in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, fraction or 0.0)) * width * 8)
    full, rest = divmod(eighths, 8)
    body = "█" * full + (_EIGHTHS[rest] if rest else "")
    return body + " " * (width - len(body))


def parts(shares: Sequence[float], width: int) -> list[int]:
    """Cells for each share of a whole (0..1), by cumulative rounding, so that they never exceed ``width``."""
    cells: list[int] = []
    total, used = 0.0, 0
    for share in shares:
        total += max(0.0, share)
        edge = min(width, round(total * width))
        cells.append(max(0, edge - used))
        used = max(used, edge)
    return cells


def spark(values: Sequence[float], width: int) -> str:
    """One cell a value on 0..1, the newest at the right."""
    newest = list(values)[-width:]
    return "".join(_LEVELS[min(7, max(0, int(value * 8)))] for value in newest)
