"""One line of text, asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static

from fada_tui.text import as_meant, printable
from fada_tui.widgets.textfield import TextField


class PromptScreen(ModalScreen[str | None]):
    """The text as it was written; None when it was left, or left as it was.

    Args:
        title: What is asked for.
        value: What stands there at first.
        facts: Lines to know while writing.
        help: What enter does, in words.
        suggester: Proposes the rest while it is typed.
    """

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "cancel")]

    def __init__(
        self,
        title: str,
        value: str = "",
        *,
        facts: Sequence[str] = (),
        help: str = "enter keeps it",
        suggester: Suggester | None = None,
    ) -> None:
        super().__init__()
        self._title_text = title
        self._value = value
        self._facts = tuple(facts)
        self._help = help
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = Content(printable(self._title_text))
            for fact in self._facts:
                yield Static(Content(printable(fact)), classes="fact")
            with Vertical(classes="field"):
                yield TextField(
                    value=printable(self._value), id="text", select_on_focus=False, suggester=self._suggester
                )
            yield Label(Content(f"{self._help} · esc leaves it as it was"), classes="help")

    @on(Input.Submitted)
    def _written(self, event: Input.Submitted) -> None:
        # What cannot be shown as it is must not be written as it is shown.
        text = as_meant(self._value, event.value)
        self.dismiss(None if text == self._value else text.strip())

    def action_leave(self) -> None:
        self.dismiss(None)
