from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from backends.data.images import open_image
from backends.jobs.job import Job, JobError
from backends.models.base import Generation, Request, question_messages
from backends.models.transformers_loader import load
from backends.work import work_function
from backends.work.asking import Asker
from backends.work.common import read_samples
from backends.work.plan import TrainingPlan, training_plan
from backends.work.training_events import WHOLE, last_whole_checkpoint

pytestmark = pytest.mark.xdist_group("heavy")

Events = Callable[[Job, str], list[dict[str, Any]]]
MakeTraining = Callable[..., Job]


@pytest.fixture
def make_training(make_job: Callable[..., Job], phantom_set: dict[str, str]) -> MakeTraining:
    root = phantom_set["images"]

    def make(run_id: int, model: dict[str, Any] | None = None, **training: Any) -> Job:
        parts: dict[str, Any] = {"model": model} if model else {}
        return make_job(
            run_id,
            kind="finetune",
            task=None,
            data={"path": phantom_set["train"], "image_root": root, "limit": None},
            training={
                "method": "full",
                "max_steps": 6,
                "learning_rate": 2e-3,
                "batch_size": 4,
                "eval_every": 3,
                "eval_data": {"path": phantom_set["val"], "image_root": root, "limit": None},
                **training,
            },
            **parts,
        )

    return make


def _train(job: Job) -> dict[str, Any]:
    return work_function(job.spec)(job)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def _same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_full_leaves_a_whole_checkpoint_that_has_changed(make_training: MakeTraining, tiny_checkpoint: Path) -> None:
    job = make_training(1)
    summary = _train(job)
    assert (summary["method"], summary["steps"], summary["samples"]) == ("full", 6, 48)
    assert summary["trained_parameters"] == summary["parameters"]
    load(job.dir / "model", device="cpu")
    assert not _same(_weights(job.dir / "model"), _weights(tiny_checkpoint))
    assert {path.name for path in job.dir.iterdir() if path.is_dir()} == {"model"}
    assert json.loads((job.dir / "scores.json").read_text())["finished"] is True


def test_it_tells_what_goes_on(make_training: MakeTraining, read_events: Events) -> None:
    job = make_training(1)
    _train(job)
    [started] = read_events(job, "started")
    assert (started["total"], started["unit"]) == (6, "steps")
    metrics = read_events(job, "metric")
    steps = {name: [m["step"] for m in metrics if m["name"] == name] for name in {m["name"] for m in metrics}}
    assert steps["loss"] == steps["learning_rate"] == steps["grad_norm"] == steps["tokens_per_s"] == [1, 2, 3, 4, 5, 6]
    assert steps["eval_exact"] == steps["eval_cosine"] == [0, 3, 6]
    assert all(math.isfinite(m["value"]) for m in metrics)
    scores = read_events(job, "score")
    assert [(row["step"], row["metric"], row["n"]) for row in scores] == [
        (step, metric, 8) for step in (0, 3, 6) for metric in ("cosine", "exact")
    ]
    assert read_events(job, "progress")[-1]["done"] == 6
    assert read_events(job, "checkpoint")[0]["path"].startswith("checkpoints/")


def test_a_few_images_are_learned_by_heart(make_training: MakeTraining, phantom_set: dict[str, str]) -> None:
    job = make_training(1, max_steps=80, batch_size=12, eval_data=None)
    job.spec["data"]["limit"] = 12
    _train(job)
    samples = read_samples(phantom_set["train"], phantom_set["images"], 12, 0)
    asker = Asker(load(job.dir / "model", device="cpu", generation=Generation(16)), 48)
    right = [
        bool(asked.reply) and asked.reply.text == asked.sample.reference
        for results in asker.run(samples)
        for asked in results
        if asked.reply
    ]
    assert sum(right) / len(samples) > 0.8


@pytest.mark.parametrize("method", ["full", "peft"])
def test_stop_saves_and_resume_ends_where_it_would_have_ended(
    make_training: MakeTraining, read_events: Events, method: str
) -> None:
    whole, stopped = (make_training(number, method=method, eval_data=None) for number in (1, 2))
    _train(whole)
    (stopped.dir / "control.json").write_text('{"stop": true}')
    first = _train(stopped)
    assert first["stopped"] is True
    assert first["steps"] < 6
    left = "model/model.safetensors" if method == "full" else "adapter/adapter_model.safetensors"
    halfway = load_file(stopped.dir / left)
    (stopped.dir / "control.json").write_text('{"stop": false}')
    second = _train(stopped)
    assert (second["stopped"], second["steps"]) == (False, 6)
    losses = [event["step"] for event in read_events(stopped, "metric") if event["name"] == "loss"]
    assert losses == [1, 2, 3, 4, 5, 6]
    assert _same(load_file(stopped.dir / left), load_file(whole.dir / left))
    assert not _same(load_file(stopped.dir / left), halfway)


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step, whole in ((5, True), (10, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / WHOLE).touch()
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-5"
    assert not (tmp_path / "checkpoint-10").exists()
    assert last_whole_checkpoint(tmp_path / "none") is None


def test_lora_leaves_an_adapter_that_loads(
    make_training: MakeTraining, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    job = make_training(1, method="peft", max_steps=4, learning_rate=2e-2, lora={"r": 4, "alpha": 8, "dropout": 0.0})
    summary = _train(job)
    assert summary["method"] == "peft"
    assert 0 < summary["trained_parameters"] < summary["parameters"] / 2
    assert (job.dir / "adapter" / "adapter_config.json").is_file()
    assert not (job.dir / "model").exists()
    sample = read_samples(phantom_set["test"], phantom_set["images"], 1, 0)[0]
    request = Request(open_image(sample), question_messages(sample.question, sample.system))
    over_base = load(tiny_checkpoint, adapter=job.dir / "adapter", device="cpu")
    alone = load(job.dir / "adapter", device="cpu")
    assert isinstance(over_base.model, PeftModel)
    assert over_base.ask([request]) == alone.ask([request]) != load(tiny_checkpoint, device="cpu").ask([request])


def test_an_adapter_is_trained_on(make_training: MakeTraining, tiny_checkpoint: Path) -> None:
    first = make_training(1, method="peft", max_steps=2)
    _train(first)
    model = {"source": str(tiny_checkpoint), "from_run": 1}
    second = make_training(2, model, method="peft", max_steps=2)
    assert _train(second)["trained_parameters"] > 0
    both = [load_file(job.dir / "adapter" / "adapter_model.safetensors") for job in (first, second)]
    assert not _same(*both)
    merged = make_training(3, model, method="full", max_steps=1)
    _train(merged)
    assert load(merged.dir / "model", device="cpu").parameters == load(tiny_checkpoint, device="cpu").parameters


def test_a_diverging_loss_ends_it_in_plain_words(make_training: MakeTraining) -> None:
    with pytest.raises(JobError, match="diverged") as caught:
        _train(make_training(1, learning_rate=1e30))
    assert "learning rate" in (caught.value.hint or "")


def test_auto_trains_all_of_a_small_model(make_training: MakeTraining) -> None:
    assert _train(make_training(1, method="auto", max_steps=1, eval_data=None))["method"] == "full"


@pytest.mark.parametrize(
    ("given", "steps"), [({"max_steps": 7}, 7), ({"epochs": 2}, 14), ({"epochs": 2, "accumulation": 3}, 6)]
)
def test_total_steps(given: dict[str, Any], steps: int) -> None:
    assert TrainingPlan(batch_size=8, **given).total_steps(50) == steps


@pytest.mark.parametrize("training", [None, {"method": "magic"}, {"learning_rate": 0}, {"batch_size": -1}])
def test_settings_that_make_no_sense_are_refused(training: dict[str, Any] | None) -> None:
    with pytest.raises(JobError):
        training_plan({"training": training})
