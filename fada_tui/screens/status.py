"""The status ladder: the next step is chosen, so that space, enter moves a model on."""

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

from db.tracker.rows import STATUS_LADDER, Model
from fada_tui.format import count
from fada_tui.text import printable
from fada_tui.widgets.line import Row, spread
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import status_span


class LadderView(LineView):
    """The steps; those where models stand are marked, of several with how many. Keys: the statuses."""

    def __init__(self, models: Sequence[Model], step: int) -> None:
        super().__init__(id="ladder")
        self._stand = [model.status for model in models]
        own = [status for status in dict.fromkeys(self._stand) if status not in STATUS_LADDER]
        self.steps: tuple[str, ...] = (*own, *STATUS_LADDER)
        lowest = min(self.steps.index(status) for status in self._stand)
        self._start = min(len(self.steps) - 1, lowest + step)

    def build(self, width: int, height: int) -> list[Row]:
        return [self._step(step, width) for step in self.steps]

    def _step(self, step: str, width: int) -> Row:
        here = self._stand.count(step)
        sign = "●" if here else "○"
        figure = f"{here:,} " if here and len(self._stand) > 1 else ""
        return Row(spread(((f" {sign} ", "dim"), (step, status_span(step)[1])), ((figure, "dim"),), width), step)

    def first_row(self) -> int:
        return self._start

    @property
    def chosen(self) -> str:
        """The step under the cursor; where it will stand at first, while keys are quicker than the drawing."""
        return self.key or self.steps[self._start]


class StatusScreen(ModalScreen[str | None]):
    """Asks for the status of one model or of several; None when it was left.

    Args:
        models: Whose status; one at least.
        step: How far up the ladder from the lowest of them the cursor stands at first.
    """

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "cancel"),
        Binding("enter,space", "take", "choose"),
        Binding("j,down", "move(1)", "down"),
        Binding("k,up", "move(-1)", "up"),
        Binding("g,home", "edge(-1)", "first"),
        Binding("G,end", "edge(1)", "last"),
    ]

    def __init__(self, models: Sequence[Model], step: int) -> None:
        super().__init__()
        self._title_text = models[0].name if len(models) == 1 else count(len(models), "model")
        self.ladder = LadderView(models, step)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box small") as box:
            box.border_title = Content(printable(f"Status of {self._title_text}"))
            yield self.ladder
            yield Label(Content("enter chooses · j k move · esc leaves it"), classes="help")

    def on_mount(self) -> None:
        # All steps in sight where the terminal has the room: a note may use words of its own beside the ladder's.
        self.ladder.styles.height = len(self.ladder.steps) + 1
        self.ladder.focus()

    @on(LineView.Opened)
    def action_take(self) -> None:
        self.dismiss(self.ladder.chosen)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, steps: int) -> None:
        self.ladder.move(steps)

    def action_edge(self, direction: int) -> None:
        self.ladder.edge(direction)
