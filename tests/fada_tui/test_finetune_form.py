"""What the form of a fine-tune shows of its training data before anything is queued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from backends.data.composition import composition, composition_rows
from backends.data.sample import Sample
from backends.jobs.presets import read_presets, save_preset
from backends.work.phantoms import make_phantoms
from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.confirm import ConfirmScreen
from fada_tui.screens.finetune import FinetuneForm
from fada_tui.screens.prompt import PromptScreen
from fada_tui.screens.suggest import Suggestion
from tests.fada_tui.conftest import Until


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training data without one category, and one of its images among the held-out ones."""
    folder = tmp_path_factory.mktemp("scans") / "set"
    make_phantoms(folder, train=12, val=6, test=0, seed=3)
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    kept = [line for line in lines if not line["images"][0].startswith("Femur/")]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    held_out = (folder / "val.jsonl").read_text() + json.dumps(kept[0]) + "\n"
    (folder / "val.jsonl").write_text(held_out)
    return folder


def text_of(form: FinetuneForm, name: str) -> str:
    return str(form.query_one(f"#{name}", Static).content)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_categories_by_questions_and_what_is_missing(
    panel_home: Home, phantoms: Path, until: Until, size: tuple[int, int]
) -> None:
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=size) as pilot:
        form = FinetuneForm(panel_home, Suggestion("Qwen2-VL-2B"))
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#training"))
        form.query_one("#field-data", Input).value = str(phantoms / "train.jsonl")
        await until(pilot, lambda: "trains on" in text_of(form, "training"))
        table = text_of(form, "training").splitlines()
        assert table[1].split() == ["category", "questions", "Q2", "Q3", "Q5", "Q6"]
        assert table[-1].split()[0] == "all" and not any(line.startswith("Femur") for line in table)
        assert max(map(len, table)) <= 70
        assert text_of(form, "warnings") == "", "nothing was evaluated yet, and nothing is held out"
        form.query_one("#field-eval_data", Input).value = str(phantoms / "val.jsonl")
        await until(pilot, lambda: "training lacks 1 of" in text_of(form, "warnings"))
        assert "Femur" in text_of(form, "warnings")
        assert "held-out data: 1 of 7 images were trained on: 1 exact copy" in text_of(form, "warnings")
        form.query_one("#field-data", Input).value = str(phantoms / "nothing.jsonl")
        await until(pilot, lambda: text_of(form, "training") == "")


@pytest.mark.parametrize(("seen", "size"), [(False, (120, 40)), (True, (120, 40)), (True, (80, 24))])
async def test_warnings_need_a_second_yes_also_where_they_stood_there(
    panel_home: Home, phantoms: Path, until: Until, seen: bool, size: tuple[int, int]
) -> None:
    form = FinetuneForm(panel_home, Suggestion("Qwen2-VL-2B"))
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=size) as pilot:
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#training"))
        form.query_one("#field-data", Input).value = str(phantoms / "train.jsonl")
        form.query_one("#field-eval_data", Input).value = str(phantoms / "val.jsonl")
        if seen:
            await until(pilot, lambda: "training lacks" in text_of(form, "warnings"))
        form.query_one("#field-steps", Input).value = "0"  # refused when it is queued: nothing is, whatever happens
        form.action_submit()
        await until(pilot, lambda: "enter again queues it all the same" in text_of(form, "problem"))
        box, problem = form.query_one(".box"), form.query_one("#problem")
        await until(pilot, lambda: box.region.contains_region(problem.region) and problem.region.height > 1)
        assert "training lacks" in text_of(form, "problem")
        form.action_submit()
        await until(pilot, lambda: "must be above 0" in text_of(form, "problem"))


@pytest.mark.parametrize("typed", ["0,0002", "1e-4,2e-4"])
async def test_a_comma_makes_no_other_number(panel_home: Home, phantoms: Path, until: Until, typed: str) -> None:
    form = FinetuneForm(panel_home, Suggestion("Qwen2-VL-2B"))
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and form.query("#training"))
        form.query_one("#field-model", Input).value = str(phantoms)
        form.query_one("#field-data", Input).value = str(phantoms / "train.jsonl")
        form.query_one("#field-lr", Input).focus()
        await pilot.pause()
        for key in typed:
            await pilot.press({",": "comma", "-": "minus"}.get(key, key))
        assert form.values["lr"] == typed
        for _ in range(2):  # the second says yes to the warnings
            form.action_submit()
            await pilot.pause()
        await until(pilot, lambda: "--sweep" in text_of(form, "problem"))
        assert f"learning_rate={typed}: a number is needed" in text_of(form, "problem")


async def test_a_preset_of_ones_own_is_replaced_only_after_a_yes(panel_home: Home, until: Until) -> None:
    save_preset(panel_home, "night", {"lora.r": 64})

    def kept() -> object:
        return read_presets(panel_home)["night"].settings.get("lora.r")

    form = FinetuneForm(panel_home, Suggestion("Qwen2-VL-2B"))
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(form)
        await until(pilot, lambda: form.is_current and "night" in form._presets)
        form.query_one("#field-r", Input).value = "8"
        for answer in ("n", "y"):
            form.action_keep()
            await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
            app.screen.query_one("#text", Input).value = "night"
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            assert kept() == 64
            await pilot.press(answer)
        await until(pilot, lambda: kept() == 8)


def test_many_questions_are_summed_up() -> None:
    samples = [
        Sample(f"{image}#{topic}", f"A/{image}.png", Path("x"), "A", "q", f"t{topic}", "a")
        for image in range(3)
        for topic in range(10)
        if topic < 9 or image == 0
    ]
    head, rows = composition_rows(composition(samples))
    assert head == ("category", "questions", *(f"t{at}" for at in range(8)), "2 more")
    assert rows == [("A", "28", *("3",) * 8, "4"), ("all", "28", *("3",) * 8, "4")]
