"""Jump mode: a letter on every row in sight that can be chosen, a number on every pane; one key goes there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual import events
from textual.screen import ModalScreen

from fada_tui.widgets.lineview import LineView

LETTERS = "asdfghjklqwertyuiopzxcvbnmASDFGHJKLQWERTYUIOPZXCVBNM"
"""The home row first."""


@dataclass(frozen=True)
class Target:
    """A row of a view; without a key the view itself."""

    view: LineView
    key: str | None = None


class JumpScreen(ModalScreen[Target | None]):
    """Nothing of it is seen but the labels that it puts into the views. Any other key leaves.

    Args:
        views: Those whose rows are labelled, in the order in which letters are given out.
        panes: Views that have a key of their own, which their titles show.
    """

    auto_links = False

    def __init__(self, views: Sequence[LineView], panes: Mapping[str, LineView] | None = None) -> None:
        super().__init__()
        self._views = views
        rows = [Target(view, key) for view in views for key in view.keys_in_sight()]
        self._targets = dict(zip(LETTERS, rows, strict=False))
        self._targets |= {key: Target(view) for key, view in (panes or {}).items()}

    def on_mount(self) -> None:
        for view in self._views:
            view.label({one.key: letter for letter, one in self._targets.items() if one.view is view and one.key})

    def on_key(self, event: events.Key) -> None:
        event.stop()
        for view in self._views:
            view.label({})
        self.dismiss(self._targets.get(event.character or ""))


def go_to(target: Target | None) -> None:
    """Put the cursor on the row that was chosen, as a click does."""
    if target is not None and target.key is not None:
        target.view.go_to(target.key)
