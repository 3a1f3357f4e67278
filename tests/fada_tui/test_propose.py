"""What the forms propose: only what is still there, and the data of the newest fine-tune or of the demo."""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from db.connect import bump, connect, immediate
from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.finetune import FinetuneForm
from fada_tui.screens.propose import for_evaluation, for_finetune
from fada_tui.screens.suggest import Suggestion, suggest
from fada_tui.sources.views import RunList, RunView, Selection
from fada_tui.sources.watcher import load_view
from tests.fada_tui import panel
from tests.fada_tui.panel import feed

Until = Callable[[Pilot[str], Callable[[], object]], Awaitable[None]]


def add(home: Home, number: int, kind: str, state: str = "done", spec: dict[str, Any] | None = None) -> Path:
    """A run as the index and its directory hold it; the directory."""
    folder = home.run_dir(number)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec or {}))
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        conn.execute(
            "INSERT INTO runs(id, kind, model, state, attempt, created, position, spec) VALUES (?, ?, 'm', ?, 1, 0, ?, ?)",
            (number, kind, state, number, json.dumps(spec or {})),
        )
        bump(conn, "runs")
    return folder


def files(folder: Path, *names: str) -> dict[str, Path]:
    (folder / "images").mkdir(parents=True)
    for name in names:
        (folder / f"{name}.jsonl").write_text("{}")
    return {"images": folder / "images", **{name: folder / f"{name}.jsonl" for name in names}}


def finetune_spec(made: dict[str, Path]) -> dict[str, Any]:
    root = str(made["images"])
    return {
        "kind": "finetune",
        "model": {"name": "tiny", "source": str(made["images"].parent)},
        "data": {"path": str(made["train"]), "image_root": root},
        "training": {"method": "full", "eval_data": {"path": str(made["val"]), "image_root": root}},
    }


def test_an_evaluation_proposes_only_what_is_still_there(panel_home: Home, tmp_path: Path) -> None:
    made = files(tmp_path / "data", "test")
    spec = {"data": {"path": str(made["test"]), "image_root": str(made["images"])}}
    suggestion = Suggestion(model_folder=str(tmp_path / "data"), spec=spec)
    whole = {"model": str(tmp_path / "data"), "data": str(made["test"]), "image_root": str(made["images"])}
    assert for_evaluation(panel_home, suggestion) == whole
    made["images"].rmdir()
    assert "image_root" not in for_evaluation(panel_home, suggestion)
    shutil.rmtree(tmp_path / "data")
    assert for_evaluation(panel_home, suggestion) == {}


def test_after_a_finetune_its_held_out_data_are_proposed(panel_home: Home, tmp_path: Path) -> None:
    made = files(tmp_path / "data", "train", "val")
    assert for_evaluation(panel_home, Suggestion(spec=finetune_spec(made)))["data"] == str(made["val"])


@pytest.mark.parametrize("state", ["done", "queued", "running", "failed", "cancelled", "lost"])
def test_only_a_finetune_that_is_done_is_offered(panel_home: Home, state: str) -> None:
    (add(panel_home, 3, "finetune", state) / "adapter").mkdir()
    offered = for_evaluation(panel_home, Suggestion(adapter=3)).get("adapter")
    assert offered == ("3" if state == "done" else None)


def test_a_finetune_that_left_nothing_or_is_none_is_not_offered(panel_home: Home) -> None:
    add(panel_home, 3, "finetune")
    (add(panel_home, 4, "eval") / "model").mkdir()
    assert [for_evaluation(panel_home, Suggestion(adapter=number)) for number in (3, 4, 5)] == [{}, {}, {}]


def test_a_finetune_proposes_the_newest_data_that_are_there_else_the_demos(panel_home: Home, tmp_path: Path) -> None:
    assert for_finetune(panel_home, Suggestion("m")) == {}
    demo = files(add(panel_home, 1, "tool") / "phantoms", "train", "val", "test")
    phantoms = {"data": str(demo["train"]), "eval_data": str(demo["val"])}
    assert for_finetune(panel_home, Suggestion("m")) == phantoms
    old, new = (files(tmp_path / name, "train", "val") for name in ("old", "new"))
    add(panel_home, 2, "finetune", spec=finetune_spec(old))
    add(panel_home, 3, "finetune", "failed", finetune_spec(new))
    assert for_finetune(panel_home, Suggestion("m"))["data"] == str(new["train"])
    new["val"].unlink()
    assert for_finetune(panel_home, Suggestion("m")) == {
        "data": str(old["train"]),
        "eval_data": str(old["val"]),
        "image_root": str(old["images"]),
    }
    old["train"].unlink()
    assert for_finetune(panel_home, Suggestion("m")) == phantoms


def test_the_shown_finetune_goes_before_a_newer_one(panel_home: Home, tmp_path: Path) -> None:
    shown, newer = (files(tmp_path / name, "train", "val") for name in ("shown", "newer"))
    add(panel_home, 2, "finetune", spec=finetune_spec(newer))
    assert for_finetune(panel_home, Suggestion(spec=finetune_spec(shown)))["data"] == str(shown["train"])


def test_a_checkpoint_folder_is_no_name(panel_home: Home, tmp_path: Path) -> None:
    made = files(tmp_path / "data", "train", "val")
    add(panel_home, 3, "finetune", spec=finetune_spec(made))
    with closing(connect(panel_home.runs_db, read_only=True)) as conn:
        view = load_view(conn, 3)
    assert view is not None
    found = suggest(Selection("queue", run=view.run), view, panel.TRACKER)
    assert (found.model, found.model_folder, found.adapter) == ("", str(tmp_path / "data"), 3)


async def test_forms_fill_themselves_and_leave_alone_what_was_typed(
    panel_home: Home, tmp_path: Path, until: Until
) -> None:
    made = files(tmp_path / "data", "train", "val")
    (add(panel_home, 3, "finetune", spec=finetune_spec(made)) / "model").mkdir()
    with closing(connect(panel_home.runs_db, read_only=True)) as conn:
        view = load_view(conn, 3)
    assert isinstance(view, RunView)
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(120, 40)) as pilot:
        feed(app, RunList((view.run,)), view, panel.NO_GPU)
        await pilot.pause()
        await pilot.press("2", "f")
        await until(pilot, lambda: isinstance(app.screen, FinetuneForm) and app.screen.query("#field-model"))
        await until(pilot, lambda: app.screen.query_one("#field-data", Input).value == str(made["train"]))
        assert app.screen.query_one("#field-eval_data", Input).value == str(made["val"])
        assert app.screen.query_one("#field-model", Input).value == str(tmp_path / "data")
        assert app.focused is app.screen.query_one("#field-data", Input)
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-adapter"))
        await until(pilot, lambda: app.screen.query_one("#field-adapter", Input).value == "3")
        assert app.screen.query_one("#field-data", Input).value == str(made["val"])
        form = app.screen
        assert isinstance(form, EvaluateForm)
        form.query_one("#field-data", Input).value = "typed"
        form.post_message(EvaluateForm.Proposed({"data": "late"}))
        await pilot.pause()
        assert form.values["data"] == "typed"


def test_a_fine_tune_done_again_is_proposed_with_its_settings(home: Home, tmp_path: Path) -> None:
    made = files(tmp_path / "data", "train", "val")
    spec = finetune_spec(made)
    spec["training"] |= {"max_steps": 30, "learning_rate": 1e-3, "lora": {"r": 4, "targets": "both"}}
    spec["model"]["precision"] = "fp32"
    plain, again = (for_finetune(home, Suggestion(spec=spec, again=again)) for again in (False, True))
    assert "steps" not in plain
    told = {name: again[name] for name in ("method", "steps", "lr", "r", "targets", "precision", "data", "shuffle")}
    assert told == {
        "method": "full",
        "steps": "30",
        "lr": "0.001",
        "r": "4",
        "targets": "both",
        "precision": "fp32",
        "data": str(made["train"]),
        "shuffle": "true",
    }
