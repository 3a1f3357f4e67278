"""By which column the models are sorted."""

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

from fada_tui.listing.order import Order
from fada_tui.widgets.line import Row, spread
from fada_tui.widgets.lineview import LineView

_MOST = 14
"""So many columns are in sight at once; more scroll."""


class ColumnView(LineView):
    """Keys: the columns; the empty one is the note's own order."""

    def __init__(self, columns: Sequence[str], order: Order) -> None:
        super().__init__(id="columns")
        self.columns = ("", *columns)
        self._order = order

    def build(self, width: int, height: int) -> list[Row]:
        return [self._column(column, width) for column in self.columns]

    def first_row(self) -> int:
        return self.columns.index(self._order.column) if self._order.column in self.columns else 0

    @property
    def chosen(self) -> str:
        """The column under the cursor; the present one, while keys are quicker than the drawing."""
        return self._order.column if self.key is None else self.key

    def _column(self, column: str, width: int) -> Row:
        here = column == self._order.column
        arrow = ("↓" if self._order.reverse else "↑") if here and column else ""
        place = (" one list" if self._order.flat else "") if here else ""
        begin = ((" ● " if here else " ○ ", "dim"), (column or "as in the note", "" if column else "dim"))
        return Row(spread(begin, ((f"{arrow}{place} ", "accent"),), width), column)


class OrderScreen(ModalScreen[Order | None]):
    """The order that was chosen; None when it was left.

    Choosing the column that the models are sorted by already turns the direction round.
    """

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "cancel"),
        Binding("enter", "take(False)", "inside sections"),
        Binding("space,a", "take(True)", "as one list"),
        Binding("j,down", "move(1)", "down"),
        Binding("k,up", "move(-1)", "up"),
        Binding("g,home", "edge(-1)", "first"),
        Binding("G,end", "edge(1)", "last"),
    ]

    def __init__(self, columns: Sequence[str], order: Order) -> None:
        super().__init__()
        self._order = order
        self.list = ColumnView(columns, order)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box small") as box:
            box.border_title = Content("Order of the models")
            yield self.list
            yield Label(
                Content("enter inside sections · space one list\nthe same again reverses · esc leaves it"),
                classes="help",
            )

    def on_mount(self) -> None:
        self.list.styles.height = min(len(self.list.columns), _MOST)
        self.list.focus()

    @on(LineView.Opened)
    def _opened(self) -> None:
        self.action_take(False)

    def action_take(self, flat: bool) -> None:
        column = self.list.chosen
        chosen = Order.by(column, flat=flat)
        if column and chosen.column == self._order.column and flat == self._order.flat:
            chosen = self._order.reversed()
        self.dismiss(chosen)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, steps: int) -> None:
        self.list.move(steps)

    def action_edge(self, direction: int) -> None:
        self.list.edge(direction)
