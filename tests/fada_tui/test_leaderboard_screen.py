"""The leaderboard pane, on a HOME with real scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.choose import ChooseScreen
from fada_tui.screens.confirm import ConfirmScreen
from fada_tui.screens.leaderboard import LeaderboardScreen
from fada_tui.screens.prompt import PromptScreen
from fada_tui.widgets.line import plain
from tests.fada_tui.conftest import Until
from tests.fada_tui.evals import always_the_same, put_eval, right_but_every


@pytest.fixture
def board_home(panel_home: Home) -> Home:
    for model, says in (("Qwen3-VL-8B", right_but_every(5)), ("Molmo-7B", always_the_same)):
        put_eval(panel_home, model, says)
    put_eval(panel_home, "Qwen2-VL-2B", right_but_every(3))
    return panel_home


async def opened(app: PanelApp, pilot: Pilot[str], until: Until) -> LeaderboardScreen:
    await until(pilot, lambda: app.dashboard.tracker.tracker is not None)
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, LeaderboardScreen) and app.screen.board)
    screen = app.screen
    assert isinstance(screen, LeaderboardScreen)
    await until(pilot, lambda: screen.view.key)
    return screen


async def go_to(screen: LeaderboardScreen, pilot: Pilot[str], run: int) -> None:
    for _ in range(20):
        if screen.entry is not None and screen.entry.run == run:
            return
        await pilot.press("j")
    raise AssertionError(f"no row of #{run} below")


def text(screen: LeaderboardScreen) -> str:
    return plain(screen.view.make)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_flat_run_has_its_alarm_at_every_size(board_home: Home, until: Until, size: tuple[int, int]) -> None:
    app = PanelApp(board_home)
    async with app.run_test(size=size) as pilot:
        screen = await opened(app, pilot, until)
        shown = text(screen)
        flat = next(line for line in shown.splitlines() if "Molmo-7B" in line and "#2" in line)
        assert "⚠" in flat and shown.index("Not ranked") < shown.index(flat)
        assert "floor: majority" in shown and shown.index("Qwen3-VL-8B") < shown.index("Qwen2-VL-2B")
        assert screen.keys.region.bottom <= size[1] and screen.keys.region.height <= 2


async def test_kind_metric_question_order_and_filter(board_home: Home, until: Until) -> None:
    app = PanelApp(board_home)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(app, pilot, until)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen) and app.screen.list.key)
        await pilot.press("j", "enter")
        await until(pilot, lambda: screen.board and screen.board.question == "Q1")
        await pilot.press("s")
        assert screen.shown.sort == "gain"
        await pilot.press("slash", *"qwen2")
        await until(pilot, lambda: "Qwen3" not in text(screen))
        assert screen.query_one("#filter", Input).has_focus
        await pilot.press("enter", "escape")
        await until(pilot, lambda: "Qwen3" in text(screen))
        await pilot.press("tab")
        await until(pilot, lambda: screen.board and screen.board.kind == "proxy")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_rows_open_their_run_and_their_model(board_home: Home, until: Until) -> None:
    app = PanelApp(board_home)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(app, pilot, until)
        await go_to(screen, pilot, 1)
        await pilot.press("M")
        await until(pilot, lambda: type(app.screen).__name__ == "ModelScreen")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("i")
        await until(pilot, lambda: type(app.screen).__name__ == "SamplesScreen")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard and app.dashboard.pane == "run")
        await until(pilot, lambda: app.dashboard.run_pane.view and app.dashboard.run_pane.view.run.id == 1)


async def test_marked_runs_are_compared(board_home: Home, until: Until) -> None:
    app = PanelApp(board_home)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(app, pilot, until)
        await go_to(screen, pilot, 1)
        await pilot.press("m")
        assert screen.marked == [1]
        await go_to(screen, pilot, 3)
        await pilot.press("m")
        assert screen.marked == [1, 3] and text(screen).count("◆") == 2
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "CompareScreen")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("escape")
        assert screen.marked == [] and app.screen is screen


async def test_the_board_goes_to_a_file_and_replaces_none_unasked(
    board_home: Home, until: Until, tmp_path: Path
) -> None:
    app = PanelApp(board_home)
    path = tmp_path / "board.md"
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(app, pilot, until)
        for there in (False, True):
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, PromptScreen))
            app.screen.query_one("#text", Input).value = str(path)
            await pilot.press("enter")
            if there:
                await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
                assert path.read_text() == "mine"
                await pilot.press("r")
            await until(pilot, lambda: path.exists() and "floor: majority" in path.read_text())
            await until(pilot, lambda: app.screen is screen)
            assert "⚠ collapse" in path.read_text()
            path.write_text("mine")
