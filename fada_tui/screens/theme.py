"""The theme: each is tried on while the cursor is on it."""

from __future__ import annotations

from textual import on

from fada_tui.screens.choose import ChooseScreen
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.palettes import PALETTES

_NAMES = tuple(PALETTES)


class ThemeScreen(ChooseScreen):
    """The place of the chosen theme in :data:`PALETTES`; None when all was left as it was."""

    def __init__(self, worn: str) -> None:
        at = _NAMES.index(worn) if worn in _NAMES else 0
        super().__init__("Theme", [palette.title for palette in PALETTES.values()], at)
        self._worn = worn

    @on(LineView.Chosen)
    def _tried(self, event: LineView.Chosen) -> None:
        self.app.theme = _NAMES[int(event.key)]

    def action_leave(self) -> None:
        self.app.theme = self._worn
        super().action_leave()
