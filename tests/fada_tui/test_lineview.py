"""The list that every pane is: it looks only at the rows it needs, and keeps to the row the cursor was on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual.app import App, ComposeResult

from fada_tui.widgets.line import Row, Rows
from fada_tui.widgets.lineview import LineView


def rows(*keys: str | None) -> list[Row]:
    return [Row(((f"row {key}", ""),), key) for key in keys]


class View(LineView):
    made: Sequence[Row] = ()

    def build(self, width: int, height: int) -> Sequence[Row]:
        return self.made

    def show(self, made: Sequence[Row]) -> None:
        self.made = made
        self.rebuild()


class ViewApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.view = View()

    def compose(self) -> ComposeResult:
        yield self.view


class Endless(Rows):
    """Rows of which only those that were looked at are there."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.looked: set[int] = set()

    def __len__(self) -> int:
        return self.number

    def row(self, index: int) -> Row:
        self.looked.add(index)
        return Row(((f"row {index}", ""),), str(index))

    def key(self, index: int) -> str:
        return str(index)


def test_rows_are_a_sequence() -> None:
    made = Rows(rows("a", None, "c"))
    assert [row.key for row in made] == ["a", None, "c"]
    assert made[-1].key == "c" and [row.key for row in made[1:]] == [None, "c"]
    assert made.find("c") == 2 and made.find("x") is None
    with pytest.raises(IndexError):
        made[3]


async def test_a_million_rows_cost_what_is_in_sight() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10)) as pilot:
        endless = Endless(1_000_000)
        app.view.show(endless)
        await pilot.pause()
        app.view.edge(1)
        await pilot.pause()
        assert app.view.key == "999999"
        app.view.page(-1)
        app.view.edge(-1)
        await pilot.pause()
        assert app.view.key == "0"
        assert len(endless.looked) < 100


async def test_the_cursor_passes_over_rows_that_cannot_be_chosen() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.show(rows(None, "a", None, None, "b", "c", None))
        await pilot.pause()
        seen = [app.view.key]
        for steps in (1, 1, 1, -1, -5):
            app.view.move(steps)
            seen.append(app.view.key)
        assert seen == ["a", "b", "c", "c", "b", "a"]
        app.view.edge(1)
        assert app.view.key == "c"


async def test_the_cursor_stays_on_its_row_else_near_it() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.show(rows("a", "b", "c"))
        app.view.choose("b")
        app.view.show(rows("x", "y", "a", "b"))
        await pilot.pause()
        assert app.view.key == "b"
        app.view.show(rows("x", "y", "a"))
        assert app.view.key == "a"
        app.view.show(rows(None, None))
        assert app.view.key is None
        app.view.show([])
        assert app.view.key is None


async def test_text_is_the_chosen_row_else_all() -> None:
    app = ViewApp()
    async with app.run_test(size=(40, 10)):
        app.view.show(rows("a", "b"))
        app.view.choose("b")
        assert app.view.text(200) == "row b"
        app.view.show(rows(None, None))
        assert app.view.text(200) == "row None\nrow None"
