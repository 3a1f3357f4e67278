"""A question before something is lost."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from fada_tui.text import printable


class Choice(NamedTuple):
    """A key and what it does, in words."""

    key: str
    words: str


class ConfirmScreen(ModalScreen[str | None]):
    """Answers the key of a choice, or None; an enter that was meant for something else loses nothing.

    Args:
        question: In the border.
        consequence: What will be so afterwards.
        choices: Letters other than n and q, which leave it.
    """

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("n,escape,q", "leave", "no")]

    def __init__(self, question: str, consequence: str, *choices: Choice) -> None:
        super().__init__()
        self._question = question
        self._choices = choices
        self.said = Static(Content("\n".join(map(printable, consequence.split("\n")))), classes="note")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = Content(printable(self._question))
            yield self.said
            yield Label(self._keys(), classes="help", id="keys")

    def _keys(self) -> Content:
        """Those that do something."""
        choices = self._choices if self.may_answer() else ()
        return Content(" · ".join([*(f"{choice.key} {choice.words}" for choice in choices), "n leave it"]))

    def say(self, *lines: str) -> None:
        """Other consequences, a line each; what can be answered may have changed with them."""
        self.said.update(Content("\n".join(map(printable, lines))))
        self.query_one("#keys", Label).update(self._keys())

    def may_answer(self) -> bool:
        """Whether it is known yet what the answer is about."""
        return True

    def on_key(self, event: events.Key) -> None:
        if event.key in {choice.key for choice in self._choices} and self.may_answer():
            event.stop()
            self.dismiss(event.key)

    def action_leave(self) -> None:
        self.dismiss(None)
