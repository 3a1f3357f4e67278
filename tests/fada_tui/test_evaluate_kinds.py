"""The form evaluates by any kind, and says what the data hold and what is wrong with them before anything is queued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from textual.widgets import Input

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.cli import run
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.pick import Pick
from fada_tui.screens.propose import for_evaluation
from fada_tui.screens.suggest import Suggestion
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text


@pytest.fixture
def gauge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two questions about an image that is there, one about one that is not. Nothing that is queued is started."""
    monkeypatch.setattr("backends.jobs.submit.start_dispatcher", lambda home: None)
    folder = tmp_path / "gauge"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "a.png")
    asked = {"task": "PI", "question": "Which plane?", "options": ["Femur", "Abdomen"], "answer": "Femur"}
    lines = [json.dumps({"id": at, "image": name, **asked}) for at, name in enumerate(["a.png", "a.png", "b.png"])]
    (folder / "q.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_kind_is_chosen_and_its_data_are_told(
    panel_home: Home, until: Until, gauge: Path, tiny_checkpoint: Path, size: tuple[int, int]
) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-kind"))
        form = app.screen
        form.query_one("#field-model", Input).value = str(tiny_checkpoint)
        form.query_one("#field-data", Input).value = str(gauge / "q.jsonl")
        await until(pilot, lambda: "gt cannot" in screen_text(app))
        form.query_one("#field-kind", Pick).focus()
        await pilot.press("f")
        await until(pilot, lambda: "3 questions about 2 images (fetal-gauge)" in screen_text(app))
        assert "⚠ 1 of 2 images: 1 missing" in screen_text(app)
        form.query_one("#field-data", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        (spec,) = panel_home.runs.glob("*/spec.json")
        made = json.loads(spec.read_text())
        assert (made["task"], made["scoring"]["embedding"]) == ("fetal-gauge", None)
        assert "q.jsonl:3: the image b.png cannot be read" in made["data"]["problems"][1]
        again = for_evaluation(panel_home, Suggestion(spec=made))
        assert (again["kind"], again["data"]) == ("fetal-gauge", str(gauge / "q.jsonl"))


def test_the_command_warns_of_what_will_fail(
    panel_home: Home, gauge: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", str(tiny_checkpoint), "--kind", "fetal-gauge", "--data", str(gauge)]
    assert run(["--home", str(panel_home.root), "--json", *words]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["warnings"][0] in err and "q.jsonl:3" in err and len(found["warnings"]) == 2
    assert run(["--home", str(panel_home.root), "job", str(found["runs"][0])]) == 0
    assert f"⚠ {found['warnings'][0]}" in capsys.readouterr().out
