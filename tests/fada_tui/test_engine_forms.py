"""Where a job runs, as the three forms ask it: only where config.toml names engines, and never chosen by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from backends.jobs import queue
from backends.jobs.store import read_spec
from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.convert import ConvertForm
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.finetune import FinetuneForm
from fada_tui.screens.form import FormScreen
from fada_tui.screens.pick import Pick
from fada_tui.screens.suggest import Suggestion
from tests.fada_tui.conftest import Until

FORMS = [EvaluateForm, FinetuneForm, ConvertForm]
ENGINES = '[engines.small]\ngres = "gpu:1"\nvram_gb = 1\n[engines.big]\ngres = "gpu:1"\nvram_gb = 4000\nlogin = "x@cluster.invalid"\n'
LARGE = "InternVL3-78B"


@pytest.fixture
def with_engines(panel_home: Home) -> Home:
    panel_home.config.write_text(ENGINES)
    return panel_home


def said(form: FormScreen[tuple[int, ...]], name: str = "fit") -> str:
    return str(form.query_one(f"#{name}", Static).content)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("kind", FORMS)
async def test_each_form_asks_where_it_runs_where_there_is_a_choice(
    with_engines: Home, until: Until, kind: type[EvaluateForm], size: tuple[int, int]
) -> None:
    app = PanelApp(with_engines, live=False)
    async with app.run_test(size=size) as pilot:
        form = kind(with_engines, Suggestion("Qwen2-VL-2B"))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#field-engine"))
        field = form.query_one("#field-engine", Pick)
        assert field.value == "local"
        field.focus()
        await pilot.pause()
        assert field.region.width > 0 and app.screen.region.contains_region(field.region)
        assert "Slurm" in said(form, "form-note")
        await pilot.press("right", "right")
        assert form.values["engine"] == "big"


@pytest.mark.parametrize("kind", FORMS)
async def test_without_engines_nobody_is_asked(panel_home: Home, until: Until, kind: type[EvaluateForm]) -> None:
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        form = kind(panel_home, Suggestion("Qwen2-VL-2B"))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query(Pick))
        assert not form.query("#field-engine")


async def test_what_is_too_large_for_this_machine_is_offered_an_engine_and_not_given_to_it(
    with_engines: Home, phantom_set: dict[str, str], until: Until
) -> None:
    app = PanelApp(with_engines, live=False)
    async with app.run_test(size=(120, 40)) as pilot:
        form = EvaluateForm(with_engines, Suggestion(LARGE))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#field-engine"))
        await until(pilot, lambda: "it would fit: Runs on big (4000 GB)" in said(form))
        assert form.values["engine"] == "local" and "small" not in said(form)
        form.query_one("#field-engine", Pick).value = "small"
        await until(pilot, lambda: "✗ it cannot be queued there" in said(form))
        form.query_one("#field-engine", Pick).value = "big"
        await until(pilot, lambda: "asks big for gpu:1" in said(form))


async def test_an_export_goes_to_the_engine_that_was_chosen(
    with_engines: Home, tiny_checkpoint: Path, until: Until
) -> None:
    app = PanelApp(with_engines, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        form = ConvertForm(with_engines, Suggestion(""))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#field-engine"))
        form.query_one("#field-what", Input).value = str(tiny_checkpoint)
        form.query_one("#field-engine", Pick).value = "big"
        form.query_one("#field-to", Pick).value = "gguf"
        await until(pilot, lambda: "a GGUF is made on this machine, not on big" in said(form))
        form.query_one("#field-to", Pick).value = "onnx"
        values = {**form.values, "check": "0"}
        (run,) = form.submit(values)
        queue.cancel(with_engines, run)
        spec = read_spec(with_engines.run_dir(run))
        assert spec is not None and spec["engine"]["name"] == "big"
