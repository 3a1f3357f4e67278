"""What is typed into a form faster than it opens arrives where it was meant to."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.evaluate import EvaluateForm
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded


@pytest.mark.parametrize(
    ("keys", "field"), [("eDDDDllama", "server"), ("eDDDDDUllama", "server"), ("eDDllama", "image_root")]
)
async def test_a_form_typed_into_before_it_is_there(panel_home: Home, until: Until, keys: str, field: str) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        app.dashboard.tracker.choose("model:MiniCPM-V-2.6")
        await pilot.pause()
        row = app.dashboard.tracker.key
        for key in keys:
            name = {"D": "down", "U": "up"}.get(key, key)
            app.post_message(events.Key(name, key if name == key else None))
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-server"))
        typed = app.screen.query_one(f"#field-{field}", Input)
        await until(pilot, lambda: typed.value == "llama")
        assert app.dashboard.tracker.key == row


async def test_what_is_proposed_late_spares_only_what_was_typed_in_its_place(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        app.dashboard.tracker.choose("model:MiniCPM-V-2.6")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-server"))
        form = app.screen
        assert isinstance(form, EvaluateForm)
        await until(pilot, lambda: form.focused is not None)
        for _ in range(4):
            await pilot.press("down")
        await pilot.press(*"llama")
        form.post_message(EvaluateForm.Proposed({"data": "/d/test.jsonl", "image_root": "/d"}))
        await until(pilot, lambda: form.values["data"] == "/d/test.jsonl")
        assert form.values["server"] == "llama" and form.focused is form.input_of("server")
        form.input_of("image_root").value = "/mine"
        form.post_message(EvaluateForm.Proposed({"data": "/e/test.jsonl", "image_root": "/e"}))
        await pilot.pause()
        assert (form.values["data"], form.values["image_root"]) == ("/d/test.jsonl", "/mine")
