"""The evaluation form tells which environment a model needs and how to make it, takes another one, and asks before
code of the model's own may run in it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from textual.widgets import Input

from backends.jobs.environments import envs, new_record, the_recipe
from backends.jobs.errors import QueueError
from backends.jobs.files import write_json
from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.confirm import ConfirmScreen
from fada_tui.screens.environments import environment_lines
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.pick import Pick
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text

NAME = "transformers-4.51"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_has_to_be_made_is_told(panel_home: Home, until: Until, size: tuple[int, int]) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-environment"))
        app.screen.query_one("#field-model", Input).value = "Molmo-7B"
        await until(pilot, lambda: "→ fada env create transformers-4.50" in screen_text(app))
        assert "✗ the environment transformers-4.50 is not made" in screen_text(app)
        assert "‹ as catalogued ›" in screen_text(app)


def test_another_environment_is_taken_and_a_wrong_model_refused(panel_home: Home) -> None:
    missing, command, code = environment_lines(panel_home, ["Qwen2-VL-2B"], {"environment": NAME})
    assert (missing, command) == (f"✗ the environment {NAME} is not made", f"→ fada env create {NAME}")
    assert "enter shows its code" in code
    assert environment_lines(panel_home, ["Qwen2-VL-2B"], {}) == []
    assert environment_lines(panel_home, ["Molmo-7B"], {"server": "far"}) == []
    with pytest.raises(QueueError):
        environment_lines(panel_home, ["no-such-model"], {})


async def test_its_code_is_shown_and_agreed_to_before_it_is_queued(
    panel_home: Home,
    until: Until,
    tmp_path: Path,
    tiny_checkpoint: Path,
    phantom_set: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backends.jobs.submit.start_dispatcher", lambda home: None)
    python = envs(panel_home) / NAME / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    write_json(python.parents[1] / "fada-environment.json", new_record(the_recipe(panel_home, NAME), {}, "now"))
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "own-code"))
    (folder / "modeling_own.py").write_text("print('it ran')\n")
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-environment"))
        form = app.screen
        form.query_one("#field-model", Input).value = str(folder)
        form.query_one("#field-data", Input).value = phantom_set["test"]
        form.query_one("#field-environment", Pick).value = NAME
        await until(pilot, lambda: f"✓ runs in the environment {NAME}" in screen_text(app))
        form.query_one("#field-data", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await until(pilot, lambda: "modeling_own.py  16 bytes" in screen_text(app))
        assert not list(panel_home.runs.glob("*/spec.json"))
        await pilot.press("y")
        await until(pilot, lambda: app.screen is app.dashboard)
    (spec,) = panel_home.runs.glob("*/spec.json")
    model = json.loads(spec.read_text())["model"]
    assert model["environment"] == NAME
    assert [file["name"] for file in model["remote_code"]["files"]] == ["modeling_own.py"]
    (told,) = environment_lines(panel_home, [str(folder)], {"environment": NAME})[1:]
    assert "agreed 20" in told
