"""The form of an export: what it proposes, what it says of routes and tools, and what it refuses."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from db.connect import connect
from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.convert import ConvertForm
from fada_tui.screens.pick import Pick
from fada_tui.screens.suggest import Suggestion
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded


def put_tune(home: Home, model: str, source: str) -> int:
    """A fine-tune that is done and has left an adapter."""
    run = store.allocate(home)
    about = {"name": model, "source": source, "loader": "transformers", "revision": None}
    store.create(home, run, {"id": run, "kind": "finetune", "task": None, "created": 1.0, "model": about})
    folder = home.run_dir(run)
    (folder / "attempts/1.json").write_text(json.dumps({"number": 1, "started": 1.0, "ended": 2.0, "exit_code": 0}))
    (folder / "events.jsonl").write_text('{"t": 2.0, "kind": "finished", "summary": {}}\n')
    (folder / "adapter").mkdir()
    with closing(connect(home.runs_db)) as conn:
        assert adopt(conn, home, run)
        ingest(conn, home, run)
    return run


def said(form: ConvertForm, name: str = "fit") -> str:
    return str(form.query_one(f"#{name}", Static).content)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_newest_fine_tune_of_the_model_its_routes_and_the_tools(
    panel_home: Home, until: Until, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    put_tune(panel_home, "Qwen2-VL-2B", "Qwen/Qwen2-VL-2B-Instruct")
    run = put_tune(panel_home, "Qwen2-VL-2B", "Qwen/Qwen2-VL-2B-Instruct")
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=size) as pilot:
        form = ConvertForm(panel_home, Suggestion("Qwen2-VL-2B"))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#field-what"))
        await until(pilot, lambda: form.query_one("#field-what", Input).value == str(run))
        await until(pilot, lambda: f"Qwen2-VL-2B, what #{run} left" in said(form))
        assert "merged: yes" in said(form) and "GGUF: yes" in said(form) and "no ONNX: " in said(form)
        assert "GGUF export" in said(form), "the note's own words"
        assert "not checked" in said(form), "this fine-tune held nothing out"
        assert "convert_hf_to_gguf" not in said(form) and "converter" not in said(form)
        form.query_one("#field-to", Pick).value = "gguf"
        await until(pilot, lambda: "converter: not found" in said(form))
        assert "[llama_cpp]" in said(form)
        form.action_submit()
        await until(pilot, lambda: "is not on this machine" in said(form, "problem"))
        assert form.is_current, "what was written is kept"
        box, problem = form.query_one(".box"), form.query_one("#problem")
        await until(pilot, lambda: box.region.contains_region(problem.region) and problem.region.height > 1)


async def test_a_run_without_weights_says_so(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home, live=False)
    async with app.run_test() as pilot:
        form = ConvertForm(panel_home, Suggestion("Qwen2-VL-2B"))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#field-what"))
        await until(pilot, lambda: "merged: yes" in said(form))
        form.query_one("#field-what", Input).value = "77"
        form.action_submit()
        await until(pilot, lambda: "there is no run #77" in said(form, "problem"))
        form.query_one("#field-what", Input).value = "Qwen2-VL-2B"
        form.action_submit()
        await until(pilot, lambda: "has no adapter" in said(form, "problem"))


async def test_x_queues_what_is_written(
    panel_home: Home, until: Until, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends.jobs import submit

    started: list[Home] = []
    monkeypatch.setattr(submit, "start_dispatcher", started.append)
    run = put_tune(panel_home, "tiny", str(tiny_checkpoint))
    app = PanelApp(panel_home)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: loaded(app) and app.runs.get(run))
        await pilot.press("2")
        await until(pilot, lambda: app.dashboard.selection.run is not None)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConvertForm))
        form = app.screen
        assert isinstance(form, ConvertForm)
        await until(pilot, lambda: form.query("#field-what") and form.query_one("#field-what", Input).value == str(run))
        form.query_one("#field-check", Input).value = "0"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConvertForm))
    spec = store.read_spec(panel_home.run_dir(run + 1))
    assert spec is not None and started
    assert (spec["kind"], spec["convert"]["to"], spec["model"]["from_run"]) == ("convert", "merged", run)
