"""Everything that the panel has said, in full: errors stay readable when their toast is gone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fada_tui.journal import Said
from fada_tui.screens.drawn import DrawnScreen
from fada_tui.widgets.fold import fold
from fada_tui.widgets.line import Row, left

_SIGNS = {"error": ("✗", "error"), "warning": ("⚠", "alarm"), "information": ("·", "dim")}
_INDENT = 12


class MessagesScreen(DrawnScreen):
    """Args: ``said``: the newest first."""

    def __init__(self, said: Sequence[Said]) -> None:
        super().__init__("Messages", "j k move · y copies one · g G ends · esc back")
        self._said = said

    def rows(self, width: int) -> list[Row]:
        return message_rows(self._said, width)

    def copied(self) -> tuple[str, str]:
        key = self.view.key
        if key is None:
            return super().copied()
        one = self._said[int(key)]
        return "\n".join(filter(None, (one.title, one.text))), one.title or one.text


def message_rows(said: Sequence[Said], width: int) -> list[Row]:
    """Each in as many lines as it takes; the first of them can be chosen."""
    if not said:
        return [
            Row((("Nothing has been said yet.", "title"),)),
            Row((("What the keys did, and every error in full, stays here until the panel closes.", "dim"),)),
        ]
    return [row for place, one in enumerate(said) for row in _message(one, str(place), width)]


def _message(one: Said, key: str, width: int) -> list[Row]:
    sign, token = _SIGNS.get(one.severity, _SIGNS["information"])
    clock = time.strftime("%H:%M:%S", time.localtime(one.time))
    words = [*fold(one.title, width - _INDENT)] if one.title else []
    words += fold(one.text, width - _INDENT) if one.text else []
    first = Row(
        (
            (f"{sign} ", token),
            (left(clock, _INDENT - 2), "dim"),
            (words[0] if words else "", "title" if one.title else ""),
        ),
        key,
    )
    return [first, *(Row(((" " * _INDENT, ""), (line, ""))) for line in words[1:])]
