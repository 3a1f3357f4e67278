"""Who changed what and when: the history, newest first."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType

from db.tracker.queries import history
from db.tracker.rows import Change
from fada_tui.commands import tracking
from fada_tui.format import count
from fada_tui.screens.live import LiveScreen
from fada_tui.screens.modelrows import change_lines
from fada_tui.widgets.line import Row, cut

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

SHOWN = 1000
_NAME = 30
"""Cells of a model's name among the keys."""
_KEYS = "j k scroll · u undo · U redo · y copy · ? keys · esc back"


class HistoryScreen(LiveScreen):
    """Args: ``model``: the name of the chosen model, to which `o` narrows it."""

    BINDINGS: ClassVar[list[BindingType]] = [("u", "undo", "undo"), ("U", "redo", "redo"), ("o", "only", "only one")]

    def __init__(self, panel: Dashboard, model: str | None) -> None:
        super().__init__(panel.panel_app.home, "History", f"{_KEYS} · o only {cut(model, _NAME)}" if model else _KEYS)
        self._panel = panel
        self._model = model
        self._narrow = False

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> tuple[Change, ...]:
        return tuple(history(tracker, limit=SHOWN, model=self._model if self._narrow else None))

    def rows(self, data: Any, width: int) -> list[Row]:
        undone = sum(change.undone for change in data)
        self.view.set_title(
            f"History of {self._model}" if self._narrow else "History",
            count(len(data), "change") + (f", {undone} taken back" if undone else ""),
        )
        if not data:
            what = f"Nothing was changed on {self._model} yet." if self._narrow else "Nothing was changed yet."
            return [Row(((what, "dim"),))]
        return [Row(line) for change in data for line in change_lines(change, width)]

    def action_only(self) -> None:
        if self._model is not None:
            self._narrow = not self._narrow
            self.read_again()

    def action_undo(self) -> None:
        tracking.undo(self._panel)

    def action_redo(self) -> None:
        tracking.redo(self._panel)
