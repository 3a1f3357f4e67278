"""A thread that breaks down is not silent."""

from __future__ import annotations

from fada_tui.screens.help import HelpScreen
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import make_app, screen_text


def breaks() -> None:
    raise RuntimeError("the [bold]wire\x1b[2J is cut")


async def test_a_source_that_breaks_down_is_told_in_the_header(until: Until) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.run_worker(breaks, thread=True, exit_on_error=False)
        await until(pilot, lambda: "RuntimeError: the [bold]wire" in screen_text(app))
        assert "\x1b" not in screen_text(app)


async def test_a_screen_whose_thread_breaks_down_says_so(until: Until) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        app.screen.run_worker(breaks, thread=True, exit_on_error=False)
        await until(pilot, lambda: any("RuntimeError: the [bold]wire" in n.message for n in app._notifications))
