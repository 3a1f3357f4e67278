"""The real unsloth through our worker, on a machine without a card, as far as its code runs there (unsloth_worker.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from backends.catalog.unsloth import packages_missing
from backends.jobs.job import Job
from backends.work import work_function
from tests.backends.models.conformance.conftest import checkpoint as checkpoint

REPOSITORY = Path(__file__).parents[4]
MakeJob = Callable[..., Job]
Events = Callable[[Job, str], list[dict[str, Any]]]
needs_it = pytest.mark.skipif(packages_missing() is not None, reason=f"unsloth: {packages_missing()}")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heavy")]


def by_unsloth(job: Job) -> int:
    worker = REPOSITORY / "tests/backends/work/training/unsloth_worker.py"
    command = [sys.executable, "-P", str(worker), "--home", str(job.home.root), "--run", str(job.run_id)]
    cwd = job.home.root / "cwd"
    cwd.mkdir(exist_ok=True)
    with (job.dir / "log.txt").open("w") as log:
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False, cwd=cwd).returncode
    assert list(cwd.iterdir()) == [], "it wrote into the working directory"
    return status


def tuning(model: str, data: dict[str, str], method: str, **training: Any) -> dict[str, Any]:
    def part(split: str) -> dict[str, Any]:
        return {"path": data[split], "image_root": data["images"], "limit": None}

    lora = {"r": 4, "alpha": 8, "dropout": 0.0, "targets": "language"}
    steps = {"max_steps": 8, "learning_rate": 1e-2, "batch_size": 4, "eval_every": 4, "eval_data": part("val")}
    return {
        "kind": "finetune",
        "task": None,
        "model": {"name": "tiny", "source": model, "revision": None, "from_run": None},
        "data": part("train"),
        "training": {"method": method, **steps, "lora": lora, **training},
    }


def losses(job: Job, read_events: Events) -> list[float]:
    return [event["value"] for event in read_events(job, "metric") if event["name"] == "loss"]


@needs_it
def test_it_trains_as_peft_and_its_adapter_is_anybodys(
    make_job: MakeJob, read_events: Events, checkpoint: Callable[[str], Path], phantom_set: dict[str, str]
) -> None:
    model = str(checkpoint("qwen2_5_vl"))
    tune = make_job(1, **tuning(model, phantom_set, "unsloth"))
    assert by_unsloth(tune) == 0, (tune.dir / "log.txt").read_text()[-2000:]
    native = make_job(2, **tuning(model, phantom_set, "peft"))
    work_function(native.spec)(native)
    seen, expected = losses(tune, read_events), losses(native, read_events)
    assert seen[0] == pytest.approx(expected[0], rel=1e-3)  # the same samples, the same masks, a LoRA that is still 0
    assert seen[-1] < seen[0]
    [started] = read_events(tune, "started")
    assert started["loaded"]["loader"].startswith("unsloth 2026.")
    adapters = [json.loads((job.dir / "adapter" / "adapter_config.json").read_text()) for job in (tune, native)]
    assert [one["base_model_name_or_path"] for one in adapters] == [model, model]
    keys = [set(load_file(job.dir / "adapter" / "adapter_model.safetensors")) for job in (tune, native)]
    assert keys[0] == keys[1]
    tuned = {"name": "tiny", "source": model, "revision": None, "from_run": 1}
    asked = {"data": {"path": phantom_set["test"], "image_root": phantom_set["images"], "limit": None}, "task": "proxy"}
    own = make_job(3, model={**tuned, "loader": "unsloth"}, **asked)
    assert by_unsloth(own) == 0, (own.dir / "log.txt").read_text()[-2000:]
    other = make_job(4, model=tuned, **asked)
    work_function(other.spec)(other)
    predictions = [
        [json.loads(line)["prediction"] for line in job.predictions.read_text().splitlines()] for job in (own, other)
    ]
    assert predictions[0] == predictions[1]


@needs_it
def test_a_checkpoint_with_a_gap_is_refused(
    make_job: MakeJob,
    read_events: Events,
    checkpoint: Callable[[str], Path],
    phantom_set: dict[str, str],
    tmp_path: Path,
) -> None:
    """It would fill the gap with random numbers, and say so in its log only."""
    import shutil

    folder = Path(shutil.copytree(checkpoint("qwen2_5_vl"), tmp_path / "gap"))
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if "layers.1.mlp.up_proj" in name)
    save_file(
        {name: tensor for name, tensor in weights.items() if name != gone},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    job = make_job(1, **tuning(str(folder), phantom_set, "unsloth"))
    assert by_unsloth(job) == 1
    [failed] = read_events(job, "failed")
    assert failed["error"] == "JobError"
    assert "missing keys in the weights" in failed["message"]


def test_auto_goes_without_it_and_says_why(
    make_job: MakeJob, read_events: Events, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    job = make_job(1, **tuning(str(tiny_checkpoint), phantom_set, "auto", max_steps=1, eval_data=None))
    assert work_function(job.spec)(job)["method"] == "full"
    texts = [event["text"] for event in read_events(job, "message")]
    assert any(text.startswith("trained without unsloth: ") for text in texts)


def test_asked_for_by_name_where_it_cannot_be_used(
    make_job: MakeJob, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    from backends.jobs.job import JobError

    job = make_job(1, **tuning(str(tiny_checkpoint), phantom_set, "unsloth", eval_data=None))
    with pytest.raises(JobError, match="unsloth cannot be used here"):
        work_function(job.spec)(job)
