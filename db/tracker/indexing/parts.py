"""Single rows and check boxes of a note, read without the rest of it.

A top-level table is its header, its delimiter and any lines after them that can be rows: each row reads the same
whatever other rows stand beside it. So a row is read as a note of three lines, by the reader that reads whole notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from db.tracker.markdown.blocks import Table, read_blocks
from db.tracker.markdown.source import Source
from db.tracker.reading.document import ItemRow, ModelRow, Warning
from db.tracker.reading.recognise import read_document

# So many rows tell how their table is set.
_SAMPLE = 40


@dataclass(frozen=True)
class Span:
    """Where a top-level model table stands; 0-based lines. ``section`` is the index of its section."""

    section: int
    header: int
    last: int


@dataclass(frozen=True)
class Rows:
    """Model rows by their 0-based line in the note, and the warnings of each such line."""

    models: dict[int, ModelRow]
    warnings: dict[int, list[Warning]]


def read_rows(source: Source, span: Span, lines: Iterable[int], *, sampled: bool = False) -> Rows | None:
    """Some rows of a table; None where they do not read as one table.

    Args:
        sampled: Read neighbours too, where the rows themselves are too few to show how the table is set.
    """
    picked = _with_neighbours(span, lines) if sampled else sorted(lines)
    kept = [span.header, span.header + 1, *picked]
    document = read_document(_excerpt(source, kept))
    if len(document.tables) != 1 or len(document.tables[0].table.rows) != len(picked):
        return None
    table = _moved(document.tables[0].table, kept)
    rows = {row.line: row for row in table.rows}
    models = {
        line: model._replace(table=table, row=rows[line], section=span.section)
        for model in document.models
        for line in (kept[model.line],)
    }
    warnings: dict[int, list[Warning]] = {}
    for warning in document.warnings:
        line = kept[warning.line - 1]
        warnings.setdefault(line, []).append(Warning(line + 1, warning.text))
    return Rows(models, warnings)


def read_table(source: Source, span: Span) -> Table | None:
    """A table with its last rows only; None where these lines do not read as one table."""
    kept = [span.header, span.header + 1, *range(max(span.header + 2, span.last + 1 - _SAMPLE), span.last + 1)]
    blocks = read_blocks(_excerpt(source, kept))
    if len(blocks) != 1 or not isinstance(blocks[0], Table) or len(blocks[0].rows) != len(kept) - 2:
        return None
    return _moved(blocks[0], kept)


def read_box(text: str) -> ItemRow | None:
    """The check box that one line is by itself; None where it needs the lines around it."""
    items = read_document(Source(text, False)).items
    return items[0] if len(items) == 1 and items[0].line == 0 and items[0].mark is not None else None


def _with_neighbours(span: Span, lines: Iterable[int]) -> list[int]:
    picked = set(lines)
    if len(picked) < _SAMPLE:
        for line in list(picked):
            first = max(span.header + 2, min(line - _SAMPLE // 2, span.last + 1 - _SAMPLE))
            picked.update(range(first, min(span.last + 1, first + _SAMPLE)))
    return sorted(picked)


def _excerpt(source: Source, lines: Iterable[int]) -> Source:
    return Source("\n".join(source.lines[line] for line in lines), False)


def _moved(table: Table, lines: list[int]) -> Table:
    """The table with the lines that its rows have in the note."""
    header, *rows = (row._replace(line=lines[row.line]) for row in (table.header, *table.rows))
    return replace(table, line=lines[0], header=header, rows=tuple(rows))
