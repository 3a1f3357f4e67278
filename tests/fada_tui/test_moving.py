"""Getting about: arrows as well as letters, jump mode, the palette, messages that stay, the mouse, the first page."""

from __future__ import annotations

import pytest
from textual import events
from textual.pilot import Pilot

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.messages import TaskFailed
from fada_tui.screens.disk import DiskScreen
from fada_tui.screens.jump import LETTERS, JumpScreen
from fada_tui.screens.messages import MessagesScreen
from fada_tui.sources.views import RunList
from fada_tui.widgets.lineview import LineView
from tests.fada_tui import panel
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text


async def shown(pilot: Pilot[str], runs: RunList = panel.RUNS) -> PanelApp:
    assert isinstance(pilot.app, PanelApp)
    panel.feed(pilot.app, runs, panel.RUN_VIEW, panel.GPU)
    await pilot.pause()
    return pilot.app


@pytest.mark.parametrize(("arrow", "letter"), [("down", "j"), ("up", "k"), ("end", "G"), ("home", "g")])
async def test_arrows_move_the_cursor_as_letters_do(arrow: str, letter: str) -> None:
    places = []
    for key in (arrow, letter):
        # Small, so that there is something to scroll: Textual's own arrows would only do that.
        async with panel.make_app().run_test(size=(80, 20)) as pilot:
            app = await shown(pilot)
            await pilot.press("j", "j", key)
            places.append(app.dashboard.tracker.cursor)
    assert places[0] == places[1]


async def test_jump_mode_goes_to_a_row_of_any_pane() -> None:
    async with panel.make_app().run_test(size=(120, 40)) as pilot:
        app = await shown(pilot)
        await pilot.press("apostrophe")
        await pilot.pause()
        assert isinstance(app.screen, JumpScreen)
        lines = screen_text(app).split("\n")
        queued = next(line for line in lines if "#13" in line)
        letter = queued[1]
        assert letter in LETTERS
        await pilot.press(letter)
        await pilot.pause()
        assert app.screen is app.dashboard and app.dashboard.pane == "queue"
        assert app.dashboard.queue.key == "run:13"
        assert not app.dashboard.queue._labels


async def test_jump_mode_goes_to_panes_and_any_other_key_leaves() -> None:
    async with panel.make_app().run_test(size=(120, 40)) as pilot:
        app = await shown(pilot)
        await pilot.press("apostrophe", "3")
        assert app.dashboard.pane == "gpu"
        await pilot.press("1", "apostrophe", "escape")
        await pilot.pause()
        assert app.screen is app.dashboard and app.dashboard.pane == "tracker"


async def test_letters_run_out_and_nothing_breaks() -> None:
    many = RunList(tuple(panel.run(number, "done") for number in range(1, 200)))
    async with panel.make_app().run_test(size=(200, 60)) as pilot:
        app = await shown(pilot, many)
        await pilot.press("2", "z", "apostrophe")
        await pilot.pause()
        assert len(app.dashboard.queue._labels) == len(LETTERS)
        await pilot.press("escape")
        assert not app.dashboard.queue._labels


async def test_the_palette_knows_every_command_also_what_cannot_be_done_now(until: Until) -> None:
    async with panel.make_app().run_test(size=(120, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, PanelApp)
        panel.feed(app, RunList(), None, panel.NO_GPU)
        await pilot.pause()
        await pilot.press("ctrl+p", *"cancel")
        await until(pilot, lambda: "needs a job that waits or runs" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard and app._notifications)
        assert "cancel needs a job" in next(iter(app._notifications)).message


async def test_the_palette_offers_the_keys_of_other_screens(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, DiskScreen))
        await pilot.press("ctrl+p", *"prune")
        await until(pilot, lambda: "Prune all  (P)" in screen_text(app))


async def test_an_error_stays_readable_when_its_toast_is_gone(until: Until) -> None:
    long = f"/a/very/long/path: {'no room ' * 80}\n→ free some"
    async with panel.make_app().run_test(size=(80, 24)) as pilot:
        app = await shown(pilot)
        app.post_message(TaskFailed("Backup", long, "and try again"))
        await until(pilot, lambda: "1 error M" in screen_text(app))
        app.clear_notifications()
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, MessagesScreen) and "✗" in screen_text(app))
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert text.count("no room") == 80 and "and try again" in text and "Backup" in text
        await pilot.press("y")
        assert "and try again" in app.clipboard
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard and "error" not in screen_text(app).split("\n")[0])


async def test_messages_say_what_they_are_for_while_there_are_none() -> None:
    async with panel.make_app().run_test(size=(80, 24)) as pilot:
        app = await shown(pilot)
        await pilot.press("M")
        await pilot.pause()
        assert "Nothing has been said yet" in screen_text(app)


@pytest.mark.parametrize("pane", ["1", "2", "3", "4"])
async def test_every_pane_can_be_copied_out_of(pane: str) -> None:
    async with panel.make_app().run_test(size=(120, 40)) as pilot:
        app = await shown(pilot)
        await pilot.press(pane, "y")
        said = {"1": "MiniCPM", "2": "#12", "3": "RTX 5090", "4": "loss"}[pane]
        assert said in app.clipboard


def wheel(view: LineView) -> events.MouseScrollUp:
    return events.MouseScrollUp(view, 5, 3, 0, 0, 0, False, False, False)


async def test_a_click_focuses_and_chooses_and_the_wheel_scrolls(until: Until) -> None:
    async with panel.make_app().run_test(size=(120, 24)) as pilot:
        app = await shown(pilot, RunList(tuple(panel.run(number, "done") for number in range(1, 60))))
        queue = app.dashboard.queue
        top = queue.scroll_offset.y
        await pilot.click(queue, offset=(5, 3))
        assert app.dashboard.focused is queue and queue.cursor == top + 2
        queue.post_message(wheel(queue))
        await until(pilot, lambda: queue.scroll_offset.y < top)
        assert queue.cursor == top + 2


async def test_the_first_page_stands_beside_the_tracker_and_any_key_goes_on() -> None:
    app = PanelApp(panel.NOWHERE, live=False, greet=True)
    async with app.run_test(size=(80, 24)) as pilot:
        panel.feed(app, RunList(), None, panel.NO_GPU)
        await pilot.pause()
        assert "Welcome" in screen_text(app) and "MiniCPM-V-2.6" in screen_text(app)
        before = app.dashboard.tracker.cursor
        await pilot.press("j")
        await pilot.pause()
        assert app.dashboard.tracker.cursor != before
        assert "Welcome" not in screen_text(app) and "4 Run" in screen_text(app)
