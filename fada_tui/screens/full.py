"""A screen of one list: the base of log, answers and help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Label

from fada_tui.screens.failing import TellsFailures
from fada_tui.widgets.line import Row, plain
from fada_tui.widgets.lineview import LineView

MOVES = "j k move · space page · g G ends · esc back"


class FullView(LineView):
    """Rows that somebody else makes."""

    def __init__(self) -> None:
        super().__init__(id="full")
        self.make: list[Row] = []

    def build(self, width: int, height: int) -> Sequence[Row]:
        return self.make

    def show(self, rows: list[Row]) -> None:
        self.make = rows
        self.rebuild()


class FullScreen(TellsFailures, Screen[None]):
    """Its view has the keys of every list; escape and q go back."""

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "back"),
        Binding("j,down", "move(1)", "down"),
        Binding("k,up", "move(-1)", "up"),
        Binding("pagedown,ctrl+d,space", "page(1)", "page down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up"),
        Binding("g,home", "edge(-1)", "top"),
        Binding("G,end", "edge(1)", "bottom"),
        Binding("y", "copy", "copy (OSC 52)"),
        Binding("apostrophe", "jump", "jump: a letter on every row"),
    ]

    def __init__(self, title: str, keys: str = MOVES) -> None:
        super().__init__()
        self.view = self.make_view()
        self._title_text = title
        self.keys = Label(Content(keys), classes="keys", id="full-keys")

    def make_view(self) -> FullView:
        return FullView()

    def compose(self) -> ComposeResult:
        yield self.view
        yield self.keys

    def on_mount(self) -> None:
        self.view.set_title(self._title_text)
        self.view.focus()

    def action_back(self) -> None:
        self.dismiss()

    def action_move(self, steps: int) -> None:
        self.view.move(steps)

    def action_page(self, direction: int) -> None:
        self.view.page(direction)

    def copied(self) -> tuple[str, str]:
        """What is copied, and what that is in a few words."""
        return plain(self.view.make), "everything on this screen"

    def action_copy(self) -> None:
        text, what = self.copied()
        self.app.copy_to_clipboard(text)
        self.app.notify(what, title="Copied", markup=False, timeout=3)

    def action_jump(self) -> None:
        from fada_tui.screens.jump import JumpScreen, go_to

        self.app.push_screen(JumpScreen([self.view]), go_to)

    def action_edge(self, direction: int) -> None:
        self.view.edge(direction)
