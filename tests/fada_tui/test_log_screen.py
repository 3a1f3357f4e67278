"""The log screen: following, looking about in a large log, and going from match to match."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from fada_tui.app import PanelApp
from fada_tui.screens.log import LogScreen
from fada_tui.sources.logfile import LogLine
from fada_tui.sources.logreader import Window
from tests.fada_tui import panel
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import make_app, screen_text


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number}{' needle' if number % 20_000 == 7 else ''}\n" for number in range(100_000)))
    return path


def screen(log: Path) -> tuple[PanelApp, LogScreen]:
    return make_app(), LogScreen(replace(panel.RUNNING, run_dir=str(log.parent)))


def first_line(app: PanelApp) -> str:
    return screen_text(app).split("\n")[1].strip("│ ▁▂▃▄▅▆▇█")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_it_follows_until_somebody_scrolls_up(log: Path, until: Until, size: tuple[int, int]) -> None:
    app, shown = screen(log)
    async with app.run_test(size=size) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "line 99999" in screen_text(app))
        with open(log, "a") as file:
            file.write("one more\x1b[2J\n")
        await until(pilot, lambda: "one more^[[2J" in screen_text(app))
        assert "following" in screen_text(app)
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: not shown.log_view.window.following)
        before = first_line(app)
        with open(log, "a") as file:
            file.write("and another\n")
        await pilot.pause(1.0)
        assert first_line(app) == before
        assert "and another" not in screen_text(app)
        await pilot.press("G")
        await until(pilot, lambda: "and another" in screen_text(app))
        assert "following" in screen_text(app)


async def test_the_beginning_and_everything_between_can_be_reached(log: Path, until: Until) -> None:
    app, shown = screen(log)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "line 99999" in screen_text(app))
        await pilot.press("g")
        await until(pilot, lambda: first_line(app) == "line 0 "[:6])
        last = -1
        for _ in range(900):
            await pilot.press("pagedown")
            top = int(first_line(app).split()[1])
            assert last < top <= last + 25
            last = top
            if len(shown.log_view.window.lines) > 20_000 or top > 15_000:
                break
        assert top > 15_000
        assert len(shown.log_view.window.lines) < 70_000


async def test_matches_are_gone_through_from_the_newest(log: Path, until: Until) -> None:
    app, shown = screen(log)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "line 99999" in screen_text(app))
        await pilot.press("slash", *"NEE")
        shown.query_one(Input).value = "needle"
        await pilot.press("enter")
        for number in (80_007, 60_007, 40_007):
            await until(pilot, lambda number=number: f"❯ line {number} needle" in screen_text(app))
            await pilot.press("n")
        await until(pilot, lambda: "❯ line 20007 needle" in screen_text(app))
        await pilot.press("N")
        await until(pilot, lambda: "❯ line 40007 needle" in screen_text(app))
        row = next(row for row in shown.view.rows[:] if ("needle", "alarm") in row.line)
        assert row.line[1:3] == (("line 40007 ", ""), ("needle", "alarm"))
        await pilot.press("n", "n")
        await until(pilot, lambda: "❯ line 7 needle" in screen_text(app) or "❯ line 20007" in screen_text(app))
        await pilot.press("escape")
        await pilot.pause()
        assert "❯" not in screen_text(app) and app.screen is shown
        await pilot.press("escape")
        assert app.screen is app.dashboard


async def test_what_is_not_there_is_said(log: Path, until: Until) -> None:
    app, shown = screen(log)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "line 99999" in screen_text(app))
        await pilot.press("slash", *"hay", "enter")
        await until(pilot, lambda: "no older hay · N goes to newer ones" in screen_text(app))


async def test_a_match_far_to_the_right_is_brought_into_sight(log: Path, until: Until) -> None:
    log.write_text("short\n" + "x" * 500 + "needle" + "y" * 500 + "\nlast\n")
    app, shown = screen(log)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "last" in screen_text(app))
        assert "needle" not in screen_text(app)
        await pilot.press("slash", *"needle", "enter")
        await until(pilot, lambda: "xneedley" in screen_text(app))
        await pilot.press("escape", *["left"] * 30)
        await until(pilot, lambda: "short" in screen_text(app))
        await pilot.press("right")
        await pilot.pause()
        assert "short" not in screen_text(app)


async def test_a_window_that_comes_behind_the_one_asked_for_does_not_lead_away_from_it(log: Path, until: Until) -> None:
    app, shown = screen(log)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "line 99999" in screen_text(app))
        shown._reader.stop()
        await app.workers.wait_for_complete()  # nothing of the reader's own may come behind what is posted here
        lines = tuple(LogLine(number * 10, f"made {number}") for number in range(4_000))
        start = Window(lines[:2_000], 0, 20_000, 10**6, following=False, target=0)
        shown.post_message(LogScreen.Moved(start))
        shown.post_message(LogScreen.Moved(replace(start, lines=lines, end=40_000, target=None)))
        await until(pilot, lambda: len(shown.log_view.window.lines) == 4_000)
        await until(pilot, lambda: not shown.log_view.on_the_way)
        assert first_line(app) == "made 0"


async def test_a_log_that_grows_is_followed_even_where_its_scrolling_is_told_in_between(
    log: Path, until: Until
) -> None:
    app, shown = screen(log)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(shown)
        await until(pilot, lambda: "line 99999" in screen_text(app))
        view, window = shown.log_view, shown.log_view.window
        more = tuple(LogLine(window.end + number * 10, f"made {number}") for number in range(50))
        end = window.end + 500
        view.take(replace(window, lines=window.lines + more, end=end, size=end))
        assert view.on_the_way
        shown._scrolled()  # as when it comes between the new height and the new place
        await until(pilot, lambda: not view.on_the_way)
        assert "made 49" in screen_text(app)
        with open(log, "a") as file:
            file.write("one more\n")
        await until(pilot, lambda: "one more" in screen_text(app))
