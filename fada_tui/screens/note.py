"""The note of a model, as one line."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from db.tracker.rows import Model
from fada_tui.text import printable


class NoteScreen(ModalScreen[str | None]):
    """Asks for the text; None when it was left."""

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "cancel")]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = Content(printable(f"Note of {self._model.name}"))
            with Vertical(classes="field"):
                yield Input(value=printable(self._model.notes or ""), id="note", select_on_focus=False)
            yield Label(Content("enter keeps it · esc leaves it as it was"), classes="help")

    @on(Input.Submitted)
    def _written(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)
