"""The cells of a table's line and where they stand in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

# As the parser does: a pipe is escaped by one backslash directly before it, whatever stands before that.
_PIPE = re.compile(r"(?<!\\)\|")
_MARKS = re.compile(r"[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)?[\s>]*")


class Cell(NamedTuple):
    r"""``text`` is trimmed, with ``\|`` as ``|``; ``start``, ``end`` enclose the padding too (None: not located)."""

    text: str
    start: int | None
    end: int | None


class Row(NamedTuple):
    r"""One line of a table.

    ``texts`` has as many cells as the header, trimmed, with ``\|`` as ``|``; ``given`` is the number written in the
    line. ``written`` is the line and ``start`` where the row begins in it, behind the marks of a list or a quotation;
    None where the cells could not be located.
    """

    line: int
    texts: tuple[str, ...]
    given: int
    written: str | None
    start: int

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The texts with their places, found anew each time: of 600,000 cells few are ever edited."""
        raw, at = ([], 0) if self.written is None else _split(self.written, self.start)
        cells = []
        for text, part in zip_longest(self.texts, raw[: len(self.texts)]):
            cells.append(Cell(text, None, None) if part is None else Cell(text, at, at + len(part)))
            at += len(part or "") + 1
        return tuple(cells)


def read_row(line_text: str, line: int, width: int) -> Row:
    """A row of a table at the margin, in a line that begins with a pipe.

    Args:
        width: The number of columns of the header.
    """
    return _row(line_text, len(line_text) - len(line_text.lstrip()), line, width)


def locate_cells(line_text: str, line: int, contents: Sequence[str]) -> Row:
    """The cells of one table line between its unescaped pipes; where that disagrees with the parser, no positions.

    Args:
        contents: What the parser read, one text a column of the header.
    """
    for prefix in _prefixes(line_text):
        row = _row(line_text, prefix, line, len(contents))
        if all(_same(mine, theirs) for mine, theirs in zip(row.texts, contents, strict=True)):
            return row
    return Row(line, tuple(contents), len(contents), None, 0)


def _row(line_text: str, start: int, line: int, width: int) -> Row:
    raw, _ = _split(line_text, start)
    given = len(raw)
    if "\\" in line_text:
        texts = tuple([text.strip().replace("\\|", "|") for text in raw[:width]])
    else:
        texts = tuple([text.strip() for text in raw[:width]])
    if given < width:
        texts += ("",) * (width - given)
    return Row(line, texts, given, line_text, start)


def _prefixes(line_text: str) -> list[int]:
    """Where the row may start: after the white space, or after the marks of a quotation or a list item."""
    bare = len(line_text) - len(line_text.lstrip())
    marks = _MARKS.match(line_text)
    return [bare, marks.end()] if marks and marks.end() != bare else [bare]


def _split(text: str, start: int) -> tuple[list[str], int]:
    """The cells with their padding, and where the first one begins; each next one begins behind a pipe."""
    text = text.rstrip()[start:]
    parts = _PIPE.split(text) if "\\" in text else text.split("|")
    # The pipes that open and close the row enclose nothing.
    if not parts[0]:
        parts.pop(0)
        start += 1
    if parts and not parts[-1]:
        parts.pop()
    return parts, start


def _same(mine: str, theirs: str) -> bool:
    return mine == theirs or mine.replace("\0", "\ufffd") == theirs.strip()
