"""The lines of a benchmark's published table with a run's own row in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fada_tui.leaderboard.beside import BesideRow, beside_table
from fada_tui.screens.comparerows import heading, wrapped
from fada_tui.widgets.line import Row, left, right

_LEAST_NAME = 12
_MARKS = {"this run": "❯", "second-hand": "†"}
_NOTE = "† second-hand: not read in the primary source. – not there: tasks are no part of a total of their own"


def beside_rows(published: Sequence[Mapping[str, Any]], flat: bool, width: int) -> list[Row]:
    """Nothing where there is none. ``flat``: the run has alarms, which its row must not be without."""
    if not published:
        return []
    table = beside_table(published)
    wide = [max(len(word) for word in name.split(" ")) for name in table.columns]
    widths = [max(6, size + 1) for size in wide]
    name_width = max(_LEAST_NAME, min(30, width - 2 - sum(widths)))
    rows = heading("Beside what was published")
    named = [name.split(" ") for name in table.columns]
    for at in range(max(map(len, named))):
        words = [words[at] if at < len(words) else "" for words in named]
        cells = "".join(right(word, size) for word, size in zip(words, widths, strict=True))
        rows.append(Row(((left("", name_width + 2), ""), (cells, "dim"))))
    rows += [_row(one, flat, name_width, widths) for one in table.rows]
    return [*rows, *wrapped(_NOTE, width, "dim")]


def _row(one: BesideRow, flat: bool, name_width: int, widths: Sequence[int]) -> Row:
    alarm = one.own and flat
    token = "alarm" if alarm else "title" if one.own else ""
    sign = "⚠ " if alarm else f"{_MARKS.get(one.marks, ' ')} "
    cells = "".join(right(cell, size) for cell, size in zip(one.cells, widths, strict=True))
    return Row(((sign, token), (left(one.model, name_width), token), (cells, token or "dim")))
