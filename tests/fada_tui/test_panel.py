"""The panel on a real HOME: keys in, database and screen out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from db.connect import bump, connect, immediate
from db.home import Home
from db.tracker.queries import load_tracker
from db.tracker.rows import Item, Model
from fada_tui.app import PanelApp
from fada_tui.screens.accept import AcceptScreen
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.finetune import FinetuneForm
from fada_tui.screens.status import StatusScreen
from fada_tui.screens.toosmall import TooSmall
from tests.fada_tui.panel import screen_text

Until = Callable[[Pilot[str], Callable[[], object]], Awaitable[None]]
SIZE = (120, 40)


def model_in(home: Home, name: str) -> Model:
    with closing(connect(home.fada_db, read_only=True)) as conn:
        return next(model for model in load_tracker(conn).models if model.name == name)


def item_in(home: Home, number: int) -> Item:
    with closing(connect(home.fada_db, read_only=True)) as conn:
        return next(item for item in load_tracker(conn).items if item.number == number)


def loaded(app: PanelApp) -> bool:
    return app.dashboard.tracker.tracker is not None and app.dashboard.tracker.key is not None


async def test_space_marks_an_item_and_u_takes_it_back(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        assert app.dashboard.tracker.choose("item:2")
        before = item_in(panel_home, 2).done
        await pilot.press("space")
        await until(pilot, lambda: item_in(panel_home, 2).done is not before)
        await until(pilot, lambda: "[x]  2 Qwen2-VL-2B" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: item_in(panel_home, 2).done is before)
        await pilot.press("U")
        await until(pilot, lambda: item_in(panel_home, 2).done is not before)


async def test_space_enter_moves_a_model_one_step_on(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        app.dashboard.tracker.choose("model:MiniCPM-V-2.6")
        await pilot.press("space")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen) and app.screen.ladder.key == "Tested")
        await pilot.press("enter")
        await until(pilot, lambda: model_in(panel_home, "MiniCPM-V-2.6").status == "Tested")
        await until(pilot, lambda: app.dashboard.selection.model and app.dashboard.selection.model.status == "Tested")


async def test_status_s_starts_at_the_present_one_and_escape_leaves_it(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        app.dashboard.tracker.choose("model:MiniCPM-V-2.6")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen) and app.screen.ladder.key == "Proxy tested")
        await pilot.press("k", "escape")
        assert app.screen is app.dashboard
    assert model_in(panel_home, "MiniCPM-V-2.6").status == "Proxy tested"


async def test_note_is_written(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        app.dashboard.tracker.choose("model:Qwen2-VL-7B")
        await pilot.press("n")
        await until(pilot, lambda: app.screen.query("#text"))
        app.screen.query_one("#text", Input).value = "runs with [bold] flash attention"
        await pilot.press("enter")
        await until(pilot, lambda: model_in(panel_home, "Qwen2-VL-7B").notes == "runs with [bold] flash attention")


async def test_a_second_panel_sees_what_the_first_does(panel_home: Home, until: Until) -> None:
    first, second = PanelApp(panel_home), PanelApp(panel_home)
    async with first.run_test(size=SIZE) as pilot, second.run_test(size=SIZE) as other:
        await until(pilot, lambda: loaded(first))
        await until(other, lambda: loaded(second))
        first.dashboard.tracker.choose("item:1")
        await pilot.press("space")
        await until(other, lambda: second.dashboard.tracker.item_at("item:1").done)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data": ""}, "the data file is not filled in"),
        ({"data": "/nonexistent/gt.jsonl"}, "/nonexistent/gt.jsonl"),
        ({"model": "Qwen3-VL-8", "data": "/nonexistent/gt.jsonl"}, "Qwen3-VL-8B"),
    ],
)
async def test_evaluate_form_says_what_is_wrong_and_keeps_it(
    panel_home: Home, until: Until, values: dict[str, str], said: str
) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        app.dashboard.tracker.choose("model:Qwen3-VL-8B")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-data"))
        form = app.screen
        assert isinstance(form, EvaluateForm)
        assert form.values["model"] == "Qwen3-VL-8B"
        for name, value in {"limit": "50", **values}.items():
            form.query_one(f"#field-{name}", Input).value = value
        typed = form.values
        await pilot.press("enter")
        await until(pilot, lambda: form.query_one("#problem").has_class("problem") and said in screen_text(app))
        assert form.values == typed
        assert app.screen is form
        await pilot.press("escape")
        assert app.screen is app.dashboard


async def test_finetune_form_refuses_a_learning_rate_that_is_none(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, FinetuneForm) and app.screen.query("#field-data"))
        app.screen.query_one("#field-data", Input).value = "/nonexistent/train.jsonl"
        app.screen.query_one("#field-lr", Input).value = "-1"
        await pilot.press("enter")
        await until(pilot, lambda: "learning_rate" in str(app.screen.query_one("#problem").render()))


async def test_a_form_survives_a_terminal_that_is_too_small(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm))
        app.screen.query_one("#field-data", Input).value = "half/typed"
        await pilot.resize_terminal(20, 5)
        await until(pilot, lambda: isinstance(app.screen, TooSmall))
        assert "needs 40×10" in screen_text(app)
        await pilot.resize_terminal(*SIZE)
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm))
        assert app.screen.query_one("#field-data", Input).value == "half/typed"


async def test_a_key_with_nothing_to_act_on_is_answered(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)

    def said(words: str) -> bool:
        return any(one.text == words for one in app.read_journal())

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("c")
        await until(pilot, lambda: said("c cancel works in Queue (2) or Run (4)"))
        await pilot.press("2", "l")
        await until(pilot, lambda: said("l log needs a run: queue one first"))


async def test_undo_brings_a_dismissed_proposal_back(panel_home: Home, until: Until) -> None:
    with closing(connect(panel_home.runs_db)) as conn, immediate(conn):
        conn.execute(
            "INSERT INTO runs(id, kind, model, state, attempt, created, ended, position, spec) "
            "VALUES (7, 'finetune', 'Qwen3-VL-8B', 'done', 1, 0, ?, 7, '{}')",
            (time.time() - 1,),
        )
        bump(conn, "runs")
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app) and app.dashboard.top.proposals == 1)
        app.dashboard.tracker.choose("model:Qwen3-VL-8B")
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, AcceptScreen))
        await pilot.press("d")
        await until(pilot, lambda: app.dashboard.top.proposals == 0)
        await pilot.press("u")
        await until(pilot, lambda: app.dashboard.top.proposals == 1)
        assert app.dashboard.selection.proposal is not None
