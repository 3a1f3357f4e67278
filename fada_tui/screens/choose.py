"""One of a list, chosen with the keys of every list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label

from fada_tui.text import printable
from fada_tui.widgets.line import Row, cut
from fada_tui.widgets.lineview import LineView

_MOST = 16
"""So many are in sight at once; more scroll."""


class ChoiceView(LineView):
    """Keys: the places in the list."""

    def __init__(self, words: Sequence[str], at: int) -> None:
        super().__init__(id="choices")
        self.words = tuple(words)
        self._at = at

    def build(self, width: int, height: int) -> list[Row]:
        return [
            Row(((" ● " if at == self._at else " ○ ", "dim"), (cut(words, width - 3), "")), str(at))
            for at, words in enumerate(self.words)
        ]

    def first_row(self) -> int:
        return self._at


class ChooseScreen(ModalScreen[int | None]):
    """The place of what was chosen; None when it was left.

    Args:
        title: What is chosen.
        words: What there is.
        at: What is so now.
    """

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "cancel"),
        Binding("enter,space", "take", "take"),
        Binding("j,down", "move(1)", "down"),
        Binding("k,up", "move(-1)", "up"),
        Binding("g,home", "edge(-1)", "first"),
        Binding("G,end", "edge(1)", "last"),
    ]

    def __init__(self, title: str, words: Sequence[str], at: int = 0) -> None:
        super().__init__()
        self._title_text = title
        self.list = ChoiceView(words, at)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = Content(printable(self._title_text))
            yield self.list
            yield Label(Content("enter takes it · esc leaves it as it was"), classes="help")

    def on_mount(self) -> None:
        self.list.styles.height = min(len(self.list.words), _MOST)
        self.list.styles.border = ("none", "transparent")
        self.list.focus()

    @on(LineView.Opened)
    def _opened(self) -> None:
        self.action_take()

    def action_take(self) -> None:
        key = self.list.key
        self.dismiss(None if key is None else int(key))

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, steps: int) -> None:
        self.list.move(steps)

    def action_edge(self, direction: int) -> None:
        self.list.edge(direction)
