"""Beside the estimated memory stands what the note says of it, in both forms."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.fitform import FitForm
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("key", ["e", "f"])
async def test_the_notes_vram_stands_beside_the_estimate(
    panel_home: Home, until: Until, key: str, size: tuple[int, int]
) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, FitForm) and app.screen.query("#fit"))
        app.screen.query_one("#field-model", Input).value = "Qwen/Qwen3-VL-8B-Instruct"
        await until(pilot, lambda: "; the note: ~20GB);" in screen_text(app))
        app.screen.query_one("#field-model", Input).value = "MedGemma-4B"
        await until(pilot, lambda: "VRAM: likely" in screen_text(app) and "the note" not in screen_text(app))
