"""The panel asks before images leave the machine, and says how many go where."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from textual.widgets import Input

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.confirm import ConfirmScreen
from fada_tui.screens.evaluate import EvaluateForm
from tests.conftest import end_processes
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text

SIZE = (80, 24)


@pytest.fixture
def ends(panel_home: Home) -> Iterator[None]:
    yield
    end_processes(panel_home)


@pytest.mark.usefixtures("ends")
async def test_a_hosted_server_is_asked_about_first(
    panel_home: Home, until: Until, phantom_set: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.jobs.submit.start_dispatcher", lambda home: None)  # nothing is to be sent
    table = '[servers.far]\nbase_url = "https://api.example.org/v1"\nmodel = "m"\n'
    panel_home.config.write_text(table)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-server"))
        form = app.screen
        for name, value in {"model": "GPT-4o", "data": phantom_set["test"], "server": "far"}.items():
            form.query_one(f"#field-{name}", Input).value = value
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        said = screen_text(app)
        assert "6 images" in said and "24 requests" in said and "api.example.org" in said and "pixels" in said
        await pilot.press("enter")  # meant for something else: it sends nothing
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is form and "nothing was queued" in screen_text(app))
        assert list(panel_home.runs.glob("*/spec.json")) == []
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: app.screen is app.dashboard)
        (spec,) = panel_home.runs.glob("*/spec.json")
        consent = json.loads(spec.read_text())["server"]["consent"]
        assert (consent["host"], consent["images"]) == ("api.example.org", 6)


async def test_another_machine_of_ones_own_is_told(panel_home: Home, until: Until, phantom_set: dict[str, str]) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-server"))
        values = {"model": "GPT-4o", "data": phantom_set["test"], "server": "https://gpu2:8000/v1 qwen"}
        for name, value in values.items():
            app.screen.query_one(f"#field-{name}", Input).value = value
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "another machine" in screen_text(app)
