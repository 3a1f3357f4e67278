"""Lines of terminal cells: data in, spans of (text, meaning) out. No widget, no markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from fada_tui.text import printable
from fada_tui.widgets.palettes import Palette
from fada_tui.widgets.theme import style_on, under

Span = tuple[str, str]
"""Text and the token of its meaning (see palettes.Palette.tokens)."""
Line = tuple[Span, ...]

ELLIPSIS = "…"


@dataclass(frozen=True)
class Row:
    """One line of a list. ``key`` is what the cursor stays on; a row without one cannot be chosen."""

    line: Line
    key: str | None = None


class Rows(Sequence[Row]):
    """The rows of a list. This one has them all; a subclass may make each when it is looked at.

    What a row is must not change in the life of the object: what differs is found by comparing two of them.
    """

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        """The row at an index from 0 to the length."""
        return self._rows[index]

    def key(self, index: int) -> str | None:
        """Its key alone."""
        return self.row(index).key

    def find(self, key: str, near: int | None = None) -> int | None:
        """Where the row of a key is; the search may begin ``near`` where it was. None where there is none."""
        return next((index for index in range(len(self)) if self.key(index) == key), None)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self.row(place) for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self.row(place)

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))


def cut(text: str, width: int) -> str:
    """At most ``width`` cells of safe text, with an ellipsis where something was left out."""
    safe = printable(text)
    if cell_len(safe) <= width:
        return safe
    return set_cell_size(safe, width - 1).rstrip() + ELLIPSIS if width > 1 else ELLIPSIS[:width]


def left(text: str, width: int) -> str:
    """Cut or padded to exactly ``width`` cells."""
    return set_cell_size(cut(text, width), max(0, width))


def right(text: str, width: int) -> str:
    """Cut or padded to exactly ``width`` cells, to the right."""
    safe = cut(text, width)
    return " " * (width - cell_len(safe)) + safe


def line_width(line: Line) -> int:
    return sum(cell_len(text) for text, _ in line)


def clip(line: Line, width: int) -> Line:
    """The spans that fit in ``width`` cells, the last one cut."""
    kept: list[Span] = []
    room = width
    for text, token in line:
        if room <= 0:
            break
        piece = cut(text, room)
        kept.append((piece, token))
        room -= cell_len(piece)
    return tuple(kept)


def whole(line: Line, width: int) -> Line:
    """The spans that fit in ``width`` cells as they are, from the first on: a cut figure says something else."""
    kept = line
    while len(kept) > 1 and line_width(kept) > width:
        kept = kept[:-1]
    return kept


def spread(begin: Line, end: Line, width: int) -> Line:
    """``begin`` at the left and ``end`` at the right; what is too long is cut from ``begin``."""
    kept = clip(end, width)
    room = max(0, width - line_width(kept) - (1 if kept else 0))
    start = clip(begin, room)
    gap = width - line_width(start) - line_width(kept)
    return (*start, (" " * gap, ""), *kept)


def wrap(text: str | Iterable[str], width: int, limit: int = 4) -> list[str]:
    """Safe text broken at spaces into at most ``limit`` lines; the last one says when more was left out.

    Of several pieces each stays on one line where it has room there, as a name with its figure.
    """
    pieces = text.split(" ") if isinstance(text, str) else text
    words = [
        word for piece in map(printable, pieces) for word in ([piece] if cell_len(piece) <= width else piece.split(" "))
    ]
    lines: list[str] = []
    current = ""
    for word in words:
        trial = f"{current} {word}" if current else word
        if cell_len(trial) <= width or not current:
            current = trial
            continue
        lines.append(cut(current, width))
        current = word
    lines.append(cut(current, width))
    if len(lines) > limit:
        lines = [*lines[: limit - 1], cut(f"{lines[limit - 1]} {ELLIPSIS}", width)]
    return lines


def strip_of(line: Line, width: int, palette: Palette, place: str = "background") -> Strip:
    """The line drawn on a place of the palette (see :func:`theme.under`), padded to ``width`` cells."""
    ground = under(palette, place)
    # printable() again: a span that skipped cut() must still not reach the terminal with an escape in it.
    segments = [
        Segment(text if text.isprintable() else printable(text), style_on(palette, token, place))
        for text, token in line
    ]
    return Strip(segments).adjust_cell_length(width, ground)


def changed_columns(old: Line, new: Line) -> tuple[int, int] | None:
    """The first and the one-past-last column that differ, whole spans at a time; None where nothing does."""
    if old == new:
        return None
    start = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        start += cell_len(after[0])
    end = max(line_width(old), line_width(new))
    if line_width(old) == line_width(new):
        for before, after in zip(reversed(old), reversed(new), strict=False):
            if before != after:
                break
            end -= cell_len(after[0])
    return (start, end) if end > start else (0, max(line_width(old), line_width(new)))


def plain(rows: Iterable[Row]) -> str:
    """The rows as text, for tests and for copying."""
    return "\n".join("".join(text for text, _ in row.line).rstrip() for row in rows)
