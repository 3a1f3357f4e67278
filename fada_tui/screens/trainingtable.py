"""What a training subset holds and what is wrong with it, as lines of a form: from data to text, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from backends.data.composition import composition_rows
from backends.jobs.preview import Preview
from fada_tui.format import count
from fada_tui.text import printable

WIDTH, NAME, FIGURE, HEAD = 70, 16, 5, 12
"""Cells of a line, of a category's name, the least of a figure and the most of a question's name."""
QUESTIONS = 8
ROWS = 16
"""So many categories are shown; the last line, of all, always is."""


def preview_lines(found: Preview) -> list[str]:
    """The subset's categories by its questions."""
    for most in range(QUESTIONS, 0, -1):
        head, rows = composition_rows(found.training, most)
        table = _table([head, *rows[:-1][:ROWS], rows[-1]])
        if max(map(len, table)) <= WIDTH:
            break
    lines = [f"trains on {count(found.training.samples, 'question')} about {count(found.training.images, 'image')}"]
    lines += table
    more = len(rows) - 1 - ROWS
    if more > 0:
        lines.insert(len(lines) - 1, f"… {more} more categories")
    return lines


def warning_lines(found: Preview) -> list[str]:
    """Each warning, and whether more may come."""
    lines = [f"⚠ {printable(text)}" for text in found.warnings]
    if found.unchecked:
        lines.append("not all images were compared in this short time: the job does when it starts")
    return lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(FIGURE, *(len(_cut(row[at], HEAD)) for row in rows)) for at in range(1, len(rows[0]))]
    return [
        _cut(printable(row[0]), NAME).ljust(NAME)
        + "".join(f" {_cut(printable(cell), HEAD):>{width}}" for cell, width in zip(row[1:], widths, strict=True))
        for row in rows
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
