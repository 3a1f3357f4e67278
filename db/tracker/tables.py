"""Patches on Markdown tables that keep the author's look: bold, padding, alignment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from db.tracker.blocks import Cell, Row, Table
from db.tracker.errors import EditError
from db.tracker.source import Patch

_BOLD = re.compile(r"\*\*(?P<inside>.+)\*\*", re.DOTALL)


def cell_patch(lines: Sequence[str], table: Table, line: int, column: int, value: str, *, keep_bold: bool) -> Patch:
    """Write a value into one cell, as wide as before where it was padded and the value fits.

    Args:
        column: Index of the column in the table.
        keep_bold: Write the value in bold where the cell was.

    Raises:
        EditError: The row has no such cell.
    """
    row = _row(table, line)
    start, end = _span(row.cells[column], line)
    raw = lines[line][start:end]
    content = escape(value)
    bold = _BOLD.fullmatch(raw.strip()) if keep_bold else None
    if bold and content and "**" not in bold["inside"]:
        content = f"**{content}**"
    lead = raw[: len(raw) - len(raw.lstrip())] if raw.strip() else raw[:1]
    trail = raw[len(raw.rstrip()) :] if raw.strip() else raw[1:]
    if len(lead) > 1 or len(trail) > 1 or _is_aligned(lines, table, column):
        if table.right_aligned[column] or (len(lead) > 1 and len(trail) <= 1):
            trail = trail[:1]
            lead = " " * max(1, len(raw) - len(content) - len(trail))
        else:
            trail = " " * max(1, len(raw) - len(content) - len(lead))
    if content.endswith("\\") and not trail:
        # The backslash would escape the pipe behind it.
        trail = " "
    if not content and end == len(lines[line].rstrip()):
        # The row has no closing pipe: an empty last cell would not be a cell at all.
        trail += "|"
    return Patch(line, start, raw, f"{lead}{content}{trail}")


def add_column(lines: Sequence[str], table: Table, line: int, title: str, value: str) -> list[Patch]:
    """Append a column to a table, with the value in one row and empty cells in the others.

    Raises:
        EditError: A row of the table has not the header's number of cells, or could not be located.
    """
    width = table.header.given
    texts: dict[int, str] = {table.header.line: f" {title} ", table.header.line + 1: "-" * (len(title) + 2)}
    for row in table.rows:
        if row.given != width:
            raise EditError(
                f"the table has no {title} column, and line {row.line + 1} has {row.given} cells instead of {width}",
                "mend that row in the note and import it",
            )
        _span(row.cells[-1], row.line)
        texts[row.line] = f" {escape(value)} " if row.line == line else " " * (len(title) + 2)
    patches = []
    for at, text in texts.items():
        bare = lines[at].rstrip()
        closed = bare.endswith("|") and not bare.endswith("\\|")
        unclosed = f" |{text.rstrip()}" if text.strip() else " | |"
        patches.append(Patch(at, len(bare), "", f"{text}|" if closed else unclosed))
    return patches


def escape(value: str) -> str:
    r"""A pipe in a cell is written ``\|``."""
    return value.replace("|", "\\|")


def _row(table: Table, line: int) -> Row:
    return next(row for row in table.rows if row.line == line)


def _span(cell: Cell, line: int) -> tuple[int, int]:
    if cell.start is None or cell.end is None:
        raise EditError(
            f"line {line + 1} of the note has no such cell, or it could not be located", "mend the row in the note"
        )
    return cell.start, cell.end


def _is_aligned(lines: Sequence[str], table: Table, column: int) -> bool:
    """True where every cell of the column, the header's too, takes the same room."""
    widths = set()
    for row in (table.header, *table.rows):
        cell = row.cells[column]
        widths.add(None if cell.start is None or cell.end is None else cell.end - cell.start)
    return len(widths) == 1 and len(table.rows) > 1 and None not in widths
