from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.catalog.resolve import ResolvedModel
from backends.jobs import launch, launch_finetune
from backends.jobs.asked import EvalAsked, FinetuneAsked
from backends.jobs.errors import QueueError
from backends.jobs.launch import plan_eval
from backends.jobs.settings import EVAL_TASKS
from backends.work import work_function
from db.home import Home


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    from PIL import Image

    for name in ("Abdomen", "Femur"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "classes" / name / "a.png")
    return tmp_path / "classes"


def test_every_kind_that_can_be_queued_has_its_work() -> None:
    for task in EVAL_TASKS:
        assert callable(work_function({"kind": "eval", "task": task}))


def test_what_a_kind_adds_to_its_spec(
    home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str], classes: Path
) -> None:
    model = str(tiny_checkpoint)
    perf = plan_eval(home, model, EvalAsked(data=phantom_set["test"], image_root=phantom_set["images"], task="perf"))
    assert (perf["generation"]["batch_size"], perf["scoring"]["embedding"], perf["prompt"]) == (1, None, None)
    given = {"batch_size": 4}
    perf = plan_eval(
        home,
        model,
        EvalAsked(data=phantom_set["test"], image_root=phantom_set["images"], task="perf", generation=given),
    )
    assert perf["generation"]["batch_size"] == 4
    shot = plan_eval(home, model, EvalAsked(data=classes, task="zero-shot"))
    assert "{}" in shot["prompt"]["templates"]
    assert json.dumps(shot)
    with pytest.raises(QueueError, match="adapter is of a chat model"):
        plan_eval(home, model, EvalAsked(data=classes, task="zero-shot", adapter=1))
    with pytest.raises(QueueError, match="fetal-gauge cannot read"):
        plan_eval(home, model, EvalAsked(data=phantom_set["test"], task="fetal-gauge"))


def test_a_contrastive_model_is_asked_nothing(home: Home, classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ResolvedModel("FetalCLIP", "FetalCLIP", "numansaeed/fetalclip-model", "open_clip")
    monkeypatch.setattr(launch, "resolve", lambda *_: found)
    monkeypatch.setattr(launch, "pinned", lambda model, **_: model)  # the hub, or its absence, is not what is tried
    with pytest.raises(QueueError, match="ranks given sentences") as raised:
        plan_eval(home, "FetalCLIP", EvalAsked(data=classes, task="gt"))
    assert raised.value.hint and "zero-shot" in raised.value.hint
    asked = EvalAsked(data=classes, task="zero-shot")
    assert plan_eval(home, "FetalCLIP", asked)["model"]["loader"] == "open_clip"
    monkeypatch.setattr(launch_finetune, "resolve", lambda *_: found)
    with pytest.raises(QueueError, match="nothing here fine-tunes it"):
        launch_finetune.plan_finetune(home, "FetalCLIP", FinetuneAsked(data=classes))
