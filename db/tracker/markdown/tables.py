"""Patches on Markdown tables that keep the author's look: bold, padding, alignment."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from db.tracker.errors import EditError
from db.tracker.markdown.blocks import Cell, Row, Table
from db.tracker.markdown.source import Patch

_BOLD = re.compile(r"\*\*(?P<inside>.+)\*\*", re.DOTALL)


class Layout:
    """How a table is set in the note, and the patches that write into it.

    Args:
        lines: The lines of the whole note.
        table: The table; where it has only some of its rows, these stand for the others' look.
    """

    def __init__(self, lines: Sequence[str], table: Table) -> None:
        self.lines = lines
        self.table = table
        self._aligned: dict[int, bool] = {}

    def write(self, row: Row, values: Mapping[int, str], *, keep_bold: Collection[int] = ()) -> list[Patch]:
        """Write values into cells of one row, by column; cells that the row lacks are added.

        Args:
            keep_bold: Columns whose value is written in bold where the cell was.

        Raises:
            EditError: A cell could not be located.
        """
        missing = {column: value for column, value in values.items() if column >= row.given}
        # From right to left: each patch leaves the columns of the next ones as they are.
        patches = [self._fill(row, missing)] if missing else []
        for column in sorted(values.keys() - missing.keys(), reverse=True):
            patches.append(self._cell(row, column, values[column], column in keep_bold, last=not missing))
        return patches

    def add_column(self, title: str, values: Mapping[int, str]) -> list[Patch]:
        """Append a column, with values in some rows (by line) and empty cells in the others.

        Raises:
            EditError: A row has more cells than the header, or could not be located.
        """
        header = self.table.header
        texts = {header.line: [title], header.line + 1: ["-" * (len(title) + 2)]}
        for row in self.table.rows:
            line = row.line
            if row.given > header.given:
                raise EditError(
                    f"the table has no {title} column, and line {line + 1} has {row.given} cells"
                    f" instead of {header.given}",
                    "mend that row in the note and import it",
                )
            _span(row.cells[0], line)
            texts[line] = [""] * (header.given - row.given) + [values.get(line, "")]
        return [self._append(line, cells, len(title)) for line, cells in texts.items()]

    def new_row(self, values: Sequence[str]) -> str:
        """A line for the end of the table: pipes, padding and quotation marks as in its last row."""
        header = self.table.header
        _span(header.cells[0], header.line)
        # The delimiter says it where there is no row: the header may stand behind a list's mark.
        above = self.lines[self.table.last_line]
        margin = above[: len(above) - len(above.lstrip(" \t>|"))]
        margin = above[: above.index("|") + 1] if "|" in margin else margin
        bare = above.rstrip()
        is_closed = bare.endswith("|") and not bare.endswith("\\|")
        is_spaced = any(self._raw(cell, header.line).startswith(" ") for cell in header.cells)
        cells = [self._new_cell(at, value, is_spaced) for at, value in enumerate(values)]
        if not margin.endswith("|"):
            # An empty first cell without a pipe before it would not be a cell at all.
            cells[0] = cells[0].lstrip() if values[0] else f"|{cells[0]}"
        if is_closed or not values[-1]:
            cells[-1] += "|"
        return margin + "|".join(cells).rstrip()

    def is_aligned(self, column: int) -> bool:
        """True where every cell of the column, the header's too, takes the same room."""
        if column not in self._aligned:
            widths = set()
            for row in (self.table.header, *self.table.rows):
                cell = row.cells[column]
                widths.add(None if cell.start is None or cell.end is None else cell.end - cell.start)
            self._aligned[column] = len(widths) == 1 and len(self.table.rows) > 1 and None not in widths
        return self._aligned[column]

    def _cell(self, row: Row, column: int, value: str, keep_bold: bool, *, last: bool) -> Patch:
        """One cell, as wide as before where it was padded and the value fits."""
        line = row.line
        start, end = _span(row.cells[column], line)
        raw = self.lines[line][start:end]
        content = escape(value)
        bold = _BOLD.fullmatch(raw.strip()) if keep_bold else None
        if bold and content and "**" not in bold["inside"]:
            content = f"**{content}**"
        lead = raw[: len(raw) - len(raw.lstrip())] if raw.strip() else raw[:1]
        trail = raw[len(raw.rstrip()) :] if raw.strip() else raw[1:]
        if len(lead) > 1 or len(trail) > 1 or self.is_aligned(column):
            if self.table.right_aligned[column] or (len(lead) > 1 and len(trail) <= 1):
                trail = trail[:1]
                lead = " " * max(1, len(raw) - len(content) - len(trail))
            else:
                trail = " " * max(1, len(raw) - len(content) - len(lead))
        if content.endswith("\\") and not trail:
            # The backslash would escape the pipe behind it.
            trail = " "
        if not content and start == row.start:
            # The row has no opening pipe: the one behind an empty first cell would be taken for it.
            lead = f"|{lead}"
        if not content and last and end == len(self.lines[line].rstrip()):
            # The row has no closing pipe: an empty last cell would not be a cell at all.
            trail += "|"
        return Patch(line, start, raw, f"{lead}{content}{trail}")

    def _fill(self, row: Row, values: Mapping[int, str]) -> Patch:
        """The cells that a row lacks, up to the last of the values."""
        _span(row.cells[0], row.line)
        return self._append(row.line, [values.get(column, "") for column in range(row.given, max(values) + 1)], 0)

    def _new_cell(self, column: int, value: str, is_spaced: bool) -> str:
        content = escape(value)
        if is_spaced:
            content = f" {content} "
        elif content.endswith("\\"):
            # The backslash would escape the pipe behind it.
            content += " "
        if not self.is_aligned(column):
            return content
        width = len(self._raw(self.table.header.cells[column], self.table.header.line))
        return content.rjust(width) if self.table.right_aligned[column] else content.ljust(width)

    def _raw(self, cell: Cell, line: int) -> str:
        start, end = _span(cell, line)
        return self.lines[line][start:end]

    def _append(self, line: int, values: Sequence[str], width: int) -> Patch:
        """Cells behind the last one; where the row is closed, an empty last one has room for ``width`` characters."""
        bare = self.lines[line].rstrip()
        if line == self.table.header.line + 1:
            padded, pipe = list(values), " |" if " |" in bare else "|"
        else:
            padded, pipe = [f" {escape(value)} " if value else " " for value in values], " |"
        if bare.endswith("|") and not bare.endswith("\\|"):
            padded[-1] = padded[-1] if values[-1] or not width else " " * (width + 2)
            text = "".join(f"{cell}|" for cell in padded)
        else:
            # An empty last cell without a pipe behind it would not be a cell at all.
            text = "".join(f"{pipe}{cell.rstrip()}" for cell in padded) + ("" if values[-1] else " |")
        return Patch(line, len(bare), "", text)


def escape(value: str) -> str:
    r"""A pipe in a cell is written ``\|``."""
    return value.replace("|", "\\|")


def _span(cell: Cell, line: int) -> tuple[int, int]:
    if cell.start is None or cell.end is None:
        raise EditError(
            f"line {line + 1} of the note has no such cell, or it could not be located", "mend the row in the note"
        )
    return cell.start, cell.end
