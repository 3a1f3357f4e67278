"""Long texts in lines of cells: nothing is left out, and no more is folded than is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from fada_tui.text import printable

_PIECE = 4096
"""Characters that are folded at once; a paragraph of a megabyte must not be one piece of work."""


def fold(text: str, width: int) -> Iterator[str]:
    """Safe lines of at most ``width`` cells, lazily. A line break breaks; other control characters are shown."""
    begin = 0
    while True:
        end = text.find("\n", begin)
        stop = len(text) if end < 0 else end
        yield from _paragraph(text, begin, stop - 1 if stop > begin and text[stop - 1] == "\r" else stop, width)
        if end < 0:
            return
        begin = end + 1


def _paragraph(text: str, begin: int, end: int, width: int) -> Iterator[str]:
    if begin == end:
        yield ""
    while begin < end:
        stop = min(end, begin + _PIECE)
        if stop < end:
            space = text.rfind(" ", begin + 1, stop)
            stop = space + 1 if space > 0 else stop
        yield from _lines(printable(text[begin:stop]).rstrip(), max(1, width))
        begin = stop


def _lines(text: str, width: int) -> Iterator[str]:
    current, room = "", width
    for word in text.split(" "):
        need = cell_len(word) + (1 if current else 0)
        if need <= room:
            current, room = (f"{current} {word}" if current else word), room - need
            continue
        if current:
            yield current
        *whole, current = chop_cells(word, width) or [""]
        yield from whole
        room = width - cell_len(current)
    yield current
