"""Every key of a screen that lies over the panel, from the bindings themselves: its last line has room for a few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.binding import Binding
from textual.screen import Screen

from fada_tui.commands.command import key_name
from fada_tui.screens.drawn import DrawnScreen
from fada_tui.screens.help import HelpScreen
from fada_tui.widgets.line import Row, cut, left

_KEY = 20


class KeysScreen(DrawnScreen):
    """Args: ``screen``: whose keys they are."""

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__("Keys")
        self._of = screen

    def rows(self, width: int) -> list[Row]:
        return key_rows(self._of, width)


def has_keys(screen: Screen[Any]) -> bool:
    """Whether there is something to list: not of a dialog, whose few keys it says itself."""
    return (
        not screen.is_modal
        and not isinstance(screen, KeysScreen | HelpScreen)
        and any(True for _ in bindings_of(screen))
    )


def key_rows(screen: Screen[Any], width: int) -> list[Row]:
    """A line a key, those of the screen itself before those of every list."""
    rows = []
    for binding in bindings_of(screen):
        keys = "  ".join(map(key_name, binding.key.split(",")))
        rows.append(Row((("  ", ""), (left(keys, _KEY), "key"), (cut(binding.description, width - _KEY - 2), ""))))
    return rows


def bindings_of(screen: Screen[Any]) -> Iterator[Binding]:
    """A screen's keys, its own first; a key that a class binds anew is not said again of its bases."""
    said: set[str] = set()
    for cls in type(screen).__mro__:
        if not cls.__module__.startswith("fada_tui."):
            continue
        for made in cls.__dict__.get("BINDINGS", ()):
            binding = made if isinstance(made, Binding) else Binding(*made)
            keys = [key.strip() for key in binding.key.split(",")]
            fresh = [key for key in keys if key not in said]
            said.update(keys)
            if fresh:
                yield Binding(",".join(fresh), binding.action, binding.description)
