"""What was done, in as many words as a toast has room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from fada_tui.widgets.line import cut

LINES = 6
WIDTH = 180
ROOM = 420
"""Cells that all lines together take at most, the first one aside."""
TITLE = 56
_LONGEST = 400


def brief(lines: Sequence[str]) -> list[str]:
    """The first lines, each cut, and how many more there are: a note's cell can hold any amount."""
    shown: list[str] = []
    room = ROOM
    for line in lines[:LINES]:
        text = cut(line, WIDTH)
        room -= cell_len(text)
        if shown and room < 0:
            break
        shown.append(text)
    rest = len(lines) - len(shown)
    return [*shown, *([f"and {rest:,} more"] if rest else [])]


def toast(title: str, message: str) -> tuple[str, str]:
    """Title and message as safe text that cannot cover the screen, whatever a name in them is."""
    lines = message.split("\n")
    return cut(title, TITLE), "\n".join(cut(line, _LONGEST) for line in lines[: LINES + 2])
