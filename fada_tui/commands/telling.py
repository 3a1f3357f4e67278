"""What was done, in as many words as a toast has room for."""

from __future__ import annotations

from collections.abc import Sequence

from fada_tui.widgets.line import cut

LINES = 6
WIDTH = 180


def brief(lines: Sequence[str]) -> list[str]:
    """The first lines, each cut, and how many more there are: a note's cell can hold any amount."""
    shown = [cut(line, WIDTH) for line in lines[:LINES]]
    rest = len(lines) - len(shown)
    return [*shown, *([f"and {rest} more"] if rest else [])]
