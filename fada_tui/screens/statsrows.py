"""Figures and coverage as rows: from data to lines, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from db.tracker.stats import Coverage, CoverageRow, Figure
from fada_tui.widgets.line import Line, Row, left, right, wrap
from fada_tui.widgets.status import status_span

_STATED, _COMPUTED = 10, 9
_SIGNS = {True: ("✓", "good"), False: ("✗", "bad"), None: ("–", "dim")}
_BLOCKS = "▁▂▃▄▅▆▇█"
_CELL = 8
_WIDE = 100
_TITLE_LEAST, _TITLE = 12, 34
_BAR_FROM = 24
"""A bar of parts beside the counts, where there are so many cells for it."""


def figure_rows(figures: Sequence[Figure], width: int) -> list[Row]:
    """Table by table: what is stated, what was computed, and beside it why they differ."""
    rows: list[Row] = []
    table = row = None
    name = min(26, max((cell_len(figure.row) for figure in figures), default=0))
    column = min(16, max((cell_len(figure.column) for figure in figures), default=0))
    for figure in figures:
        if figure.table != table:
            table, row = figure.table, None
            head = f"{left(figure.table, name + column + 3)}{right('stated', _STATED)}{right('computed', _COMPUTED)}"
            rows += [*([Row(())] if rows else []), Row(((head, "title"),))]
        rows += _figure(figure, "" if figure.row == row else figure.row, name, column, width)
        row = figure.row
    return rows


def _figure(figure: Figure, title: str, name: int, column: int, width: int) -> list[Row]:
    sign, token = _SIGNS[figure.agrees]
    computed = "–" if figure.computed is None else str(figure.computed)
    bad = "bad" if figure.agrees is False else ""
    line: Line = (
        (f"  {left(title, name)} ", ""),
        (left(figure.column, column), "dim"),
        (right(figure.stated, _STATED), bad),
        (right(computed, _COMPUTED), bad),
        (f" {sign} ", token),
    )
    used = name + column + _STATED + _COMPUTED + 6
    room = width - used - 1
    if not figure.detail or cell_len(figure.detail) <= room:
        return [Row((*line, (f" {figure.detail}" if figure.detail else "", "dim")))]
    indent = " " * (name + 3)
    below = [Row(((f"{indent}{text}", "dim"),)) for text in wrap(figure.detail, max(10, width - len(indent)), limit=8)]
    return [Row(line), *below]


def coverage_rows(covered: Coverage, width: int) -> list[Row]:
    """Sections × those statuses that occur: counts, each with a block as high as its share of the section."""
    total = covered.total
    if not total.total:
        return [
            Row((("The tracker holds no models.", "dim"),)),
            Row((("Import a note: fada import FILE.md", "dim"),)),
        ]
    cell = max(_CELL if width >= _WIDE else _CELL - 1, len(str(total.total)) + 3)
    columns = _columns(covered, total, (width - _TITLE_LEAST - 2) // cell - 1)
    rest = width - cell * (len(columns) + 1) - 2
    title = max(_TITLE_LEAST, min(_TITLE, rest))
    head = "".join(f" {right(column.word, cell - 1)}" for column in columns)
    rows = [Row(((left("Section × status", title + 2), "title"), (f"{head}{right('all', cell)}", "dim")))]
    for row in (*covered.rows, total):
        spans: list[tuple[str, str]] = [(f"  {left(row.title, title)}", "title" if row is total else "")]
        spans += [_cell(column.count(row), row.total, column.token, cell) for column in columns]
        spans.append((right(str(row.total), cell), "title"))
        if rest - title >= _BAR_FROM:
            spans += [("   ", ""), *_parts(row, columns, min(rest - title - 4, 60))]
        rows.append(Row(tuple(spans)))
    return rows


@dataclass(frozen=True)
class _Column:
    """One status, or the rarer ones of the note's own words together."""

    word: str
    token: str
    places: tuple[int, ...]

    def count(self, row: CoverageRow) -> int:
        return sum(row.counts[place] for place in self.places)


def _columns(covered: Coverage, total: CoverageRow, room: int) -> list[_Column]:
    """The statuses that occur, in their order; those that there is no room for stand together at the end."""
    occur = [place for place, number in enumerate(total.counts) if number]
    apart = occur if len(occur) <= room else occur[: max(1, room - 1)]
    columns = [_Column(*status_span(covered.statuses[place]), (place,)) for place in apart]
    rest = tuple(occur[len(apart) :])
    return [*columns, _Column("other", "", rest)] if rest else columns


def _cell(number: int, total: int, token: str, width: int) -> tuple[str, str]:
    if not number:
        return right("·", width), "dim"
    block = _BLOCKS[min(len(_BLOCKS) - 1, number * len(_BLOCKS) // max(1, total))]
    return right(f"{number} {block}", width), token


def _parts(row: CoverageRow, columns: Sequence[_Column], width: int) -> Line:
    """One bar, the most advanced at the left; what is still to do is dotted."""
    spans: list[tuple[str, str]] = []
    shown = done = 0
    for column in reversed(columns):
        done += column.count(row)
        end = round(width * done / max(1, row.total))
        spans.append((("░" if column.token == "todo" else "█") * (end - shown), column.token))
        shown = end
    return tuple(span for span in spans if span[0])
