"""Commands that change the tracker. The writing is done in a worker thread, never in the event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from db.connect import connect

if TYPE_CHECKING:
    from db.tracker.rows import Item, Model
    from fada_tui.screens.dashboard import Dashboard

Edit = Callable[[sqlite3.Connection], list[str]]


def _edit(panel: Dashboard, title: str, edit: Edit) -> None:
    """Run one edit on fada.db and say what it changed."""
    home = panel.panel_app.home

    def task() -> list[str]:
        with closing(connect(home.fada_db)) as conn:
            return edit(conn)

    panel.panel_app.start_task(title, task)


def mark(panel: Dashboard) -> None:
    """Space: an item's box toggles; a model opens the ladder with its next step chosen."""
    selection = panel.selection
    if selection.item is not None:
        toggle_item(panel, selection.item)
    elif selection.model is not None:
        _ladder(panel, selection.model, step=1)


def toggle_item(panel: Dashboard, item: Item) -> None:
    from db.tracker.edits import set_item

    _edit(panel, f"Item {item.number}", lambda conn: set_item(conn, item.number, not item.done))


def status(panel: Dashboard) -> None:
    model = panel.selection.model
    if model is not None:
        _ladder(panel, model, step=0)


def _ladder(panel: Dashboard, model: Model, step: int) -> None:
    from fada_tui.screens.status import StatusScreen

    def chosen(value: str | None) -> None:
        if value is None or value == model.status:
            return
        from db.tracker.edits import set_status

        _edit(panel, model.name, lambda conn: set_status(conn, model.name, value))

    panel.app.push_screen(StatusScreen(model, step), chosen)


def note(panel: Dashboard) -> None:
    from fada_tui.screens.note import NoteScreen

    model = panel.selection.model
    if model is None:
        return

    def written(text: str | None) -> None:
        if text is None or text == (model.notes or ""):
            return
        from db.tracker.edits import set_note

        _edit(panel, model.name, lambda conn: set_note(conn, model.name, text))

    panel.app.push_screen(NoteScreen(model), written)


def undo(panel: Dashboard) -> None:
    from db.tracker import edits

    _edit(panel, "Undo", edits.undo)


def redo(panel: Dashboard) -> None:
    from db.tracker import edits

    _edit(panel, "Redo", edits.redo)
