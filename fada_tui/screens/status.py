"""The status ladder: the next step is chosen, so that space, enter moves a model on."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label

from db.tracker.rows import STATUS_LADDER, Model
from fada_tui.text import printable
from fada_tui.widgets.line import Row
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import status_span


class LadderView(LineView):
    """The steps, the present one marked. Keys: the statuses."""

    def __init__(self, status: str) -> None:
        super().__init__(id="ladder")
        self._status = status
        own = () if status in STATUS_LADDER else (status,)
        self.steps: tuple[str, ...] = (*own, *STATUS_LADDER)

    def build(self, width: int, height: int) -> list[Row]:
        return [
            Row(((f" {'●' if step == self._status else '○'} ", "dim"), (step, status_span(step)[1])), step)
            for step in self.steps
        ]

    def step_from(self, steps: int) -> str:
        """The status that many steps up the ladder, at most the last."""
        index = self.steps.index(self._status) + steps
        return self.steps[min(len(self.steps) - 1, index)]


class StatusScreen(ModalScreen[str | None]):
    """Asks for a model's status; None when it was left.

    Args:
        model: Whose status.
        step: How far up the ladder the cursor stands at first.
    """

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "cancel"),
        Binding("enter,space", "take", "choose"),
        Binding("j,down", "move(1)", "down"),
        Binding("k,up", "move(-1)", "up"),
    ]

    def __init__(self, model: Model, step: int) -> None:
        super().__init__()
        self._model = model
        self._step = step
        self.ladder = LadderView(model.status)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box small") as box:
            box.border_title = Content(printable(f"Status of {self._model.name}"))
            yield self.ladder
            yield Label(Content("enter chooses · j k move · esc leaves it"), classes="help")

    def on_mount(self) -> None:
        self.ladder.focus()
        self.call_after_refresh(self.ladder.choose, self.ladder.step_from(self._step))

    @on(LineView.Opened)
    def action_take(self) -> None:
        self.dismiss(self.ladder.key)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, steps: int) -> None:
        self.ladder.move(steps)
