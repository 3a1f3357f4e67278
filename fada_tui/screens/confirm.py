"""A question before something is lost."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label

from fada_tui.text import printable


class ConfirmScreen(ModalScreen[bool | None]):
    """Answers True for `y` only: an enter that was meant for something else loses nothing."""

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str, consequence: str, yes: str) -> None:
        super().__init__()
        self._texts = (question, consequence, f"y {yes} · n leave it")

    def compose(self) -> ComposeResult:
        question, consequence, keys = self._texts
        with Vertical(classes="box") as box:
            box.border_title = Content(printable(question))
            yield Label(Content(printable(consequence)), classes="note")
            yield Label(Content(keys), classes="help")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
