"""`?` lists the keys of the screen it is pressed on."""

from __future__ import annotations

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.disk import DiskScreen
from fada_tui.screens.help import HelpScreen
from fada_tui.screens.history import HistoryScreen
from fada_tui.screens.keyhelp import KeysScreen
from fada_tui.screens.leaderboard import LeaderboardScreen
from fada_tui.widgets.line import plain
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text


async def test_every_screen_over_the_panel_lists_its_keys(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        for key, screen, said in (
            ("b", LeaderboardScreen, "question or category"),
            ("F", DiskScreen, "prune all"),
            ("H", HistoryScreen, "undo"),
        ):
            await pilot.press(key)
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, KeysScreen))
            shown = app.screen
            assert isinstance(shown, KeysScreen)
            await until(pilot, lambda shown=shown: shown.view.make)
            text = plain(shown.view.make)
            assert said in text and "page down" in text and "question_mark" not in text
            await pilot.press("question_mark")  # nothing more to list
            assert app.screen is shown
            await pilot.press("escape")
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)


async def test_the_panel_has_its_own_help_and_a_field_takes_the_sign(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, LeaderboardScreen))
        await pilot.press("slash", "question_mark")
        await until(pilot, lambda: "?" in screen_text(app))
        assert isinstance(app.screen, LeaderboardScreen)


async def test_the_leaderboard_has_one_thread_that_watches(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = LeaderboardScreen(app.dashboard)
        app.push_screen(screen)
        await until(pilot, lambda: screen.board is not None)
        assert [worker.name for worker in app.workers if worker.node is screen] == ["_watch"]
