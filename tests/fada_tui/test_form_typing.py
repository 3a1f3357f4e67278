"""What is typed into a form faster than it opens arrives where it was meant to."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.add import AddForm
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.finetune import FinetuneForm
from fada_tui.screens.form import FormScreen
from fada_tui.screens.pick import Pick
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded


def _offers(form: FinetuneForm) -> bool:
    """Its presets have been read."""
    return bool(form.query("#field-preset")) and len(form.query_one("#field-preset", Pick).choices) > 1


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


async def test_what_was_typed_and_left_is_there_the_next_time(panel_home: Home, until: Until) -> None:
    """Of the same model only, until it is begun anew."""
    app = PanelApp(panel_home)

    async def opened(model: str, key: str = "e") -> FormScreen[object]:
        app.dashboard.tracker.choose(f"model:{model}")
        await pilot.pause()
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, FormScreen) and app.screen.focused is not None)
        form = app.screen
        assert isinstance(form, FormScreen)
        return form

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        form = await opened("MiniCPM-V-2.6")
        form.set_focus(form.field_of("data"))
        await pilot.press(*"/d/a.jsonl", "down", "right")
        assert (form.values["data"], form.values["kind"]) == ("/d/a.jsonl", "proxy")
        await pilot.press("escape")
        other = await opened("Qwen2-VL-7B")
        assert other.values["data"] == ""
        await pilot.press("escape")
        form = await opened("MiniCPM-V-2.6")
        assert (form.values["data"], form.values["kind"]) == ("/d/a.jsonl", "proxy")
        assert "as you left it" in str(form.query_one(".box").border_title)
        await pilot.press("ctrl+r")
        assert (form.values["data"], form.values["kind"]) == ("", "gt")
        assert "as you left it" not in str(form.query_one(".box").border_title)
        await pilot.press("escape")
        form = await opened("MiniCPM-V-2.6")
        assert form.values["data"] == ""


async def test_settings_changed_after_a_preset_was_chosen_are_kept(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)

    async def opened() -> FinetuneForm:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, FinetuneForm) and _offers(app.screen))
        assert isinstance(app.screen, FinetuneForm)
        return app.screen

    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: loaded(app))
        form = await opened()
        form.set_focus(form.field_of("preset"))
        await pilot.press("right")
        await pilot.pause()
        preset, rank = form.values["preset"], form.values["r"]
        form.input_of("r").value = "77"
        await pilot.press("escape")
        form = await opened()
        await pilot.pause()
        assert preset != "none" and rank != "77"
        assert (form.values["preset"], form.values["r"]) == (preset, "77")


async def test_a_model_half_added_keeps_its_columns(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)

    async def opened() -> AddForm:
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddForm) and len(app.screen.fields) > 3)
        assert isinstance(app.screen, AddForm)
        return app.screen

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        form = await opened()
        section = form.values["section"]
        form.input_of("name").value = "NewVLM"
        form.input_of("column-1").value = "7B"
        await pilot.press("escape")
        form = await opened()
        await pilot.pause()
        assert (form.values["name"], form.values["section"], form.values["column-1"]) == ("NewVLM", section, "7B")
        await pilot.press("ctrl+r")
        assert (form.values["name"], form.values["section"], form.values["column-1"]) == ("", section, "")
