"""Killed anywhere, several times in one run, and resumed: the same losses, weights and scores as one never killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from backends.jobs.job import Job
from backends.work.training_events import WHOLE
from tests.backends.work.training import killed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("heavy")]

PLACES = {
    "full": ("save_weights", "step", "mark", "result"),
    "peft": ("step", "save_optimiser", "save_state", "result"),
}
"""Where each is killed, one after the other, at the first to third time that it comes there."""
STEPS = 14


@pytest.fixture
def make(make_job: Callable[..., Job], phantom_set: dict[str, str]) -> Callable[[int, str], Job]:
    def get(run_id: int, method: str) -> Job:
        data = {"path": phantom_set["train"], "image_root": phantom_set["images"], "limit": None}
        training = {
            "method": method,
            "max_steps": STEPS,  # of 6 an epoch
            "learning_rate": 2e-3,
            "batch_size": 4,
            "accumulation": 2,
            "eval_every": 3,
            "save_every": 2,
            "eval_data": {**data, "path": phantom_set["val"]},
            "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
        }
        return make_job(run_id, kind="finetune", task=None, data=data, training=training)

    return get


def _run(job: Job, place: str = "nowhere", at: int = 0) -> bool:
    """True where it came to its end."""
    command = [sys.executable, killed.__file__, str(job.home.root), str(job.run_id), place, str(at)]
    root = Path(__file__).parents[4]
    done = subprocess.run(command, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    for checkpoint in (job.dir / "checkpoints").glob("checkpoint-*"):
        if (checkpoint / WHOLE).exists():  # what may be chosen is whole
            assert {"trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth"} <= {
                path.name for path in checkpoint.iterdir()
            }
    return done.returncode == 0


@pytest.mark.parametrize("method", PLACES)
def test_killed_anywhere_it_ends_as_if_it_never_had_been(make: Callable[[int, str], Job], method: str) -> None:
    whole, torn = make(1, method), make(2, method)
    assert _run(whole)
    dice = random.Random(f"{method} 7")
    killings = sum(not _run(torn, place, dice.randint(1, 3)) for place in PLACES[method])
    assert killings >= len(PLACES[method]) - 1
    assert _run(torn)
    _same(whole, torn, method)


def _same(whole: Job, torn: Job, method: str) -> None:
    name = "model/model.safetensors" if method == "full" else "adapter/adapter_model.safetensors"
    left, right = (load_file(job.dir / name) for job in (whole, torn))
    assert all(torch.equal(left[key], right[key]) for key in left)
    curves = [_curve(job, "loss") for job in (whole, torn)]
    assert list(curves[0]) == list(range(1, STEPS + 1))
    assert curves[0] == curves[1]
    assert _curve(whole, "learning_rate") == _curve(torn, "learning_rate")
    assert _curve(whole, "eval_exact") == _curve(torn, "eval_exact")
    one, other = (json.loads((job.dir / "summary.json").read_text()) for job in (whole, torn))
    for key in ("steps", "train_loss", "eval", "best", "eval_exact", "samples", "tokens_an_epoch"):
        assert _rounded(one.get(key)) == _rounded(other.get(key)), key
    scores = [json.loads((job.dir / "scores.json").read_text())["scores"] for job in (whole, torn)]
    assert _rounded(scores[0]) == _rounded(scores[1])
    assert {path.name for path in torn.dir.iterdir()} == {path.name for path in whole.dir.iterdir()}


def _rounded(value: Any) -> Any:
    """An embedding differs in its last digits by what else is embedded with it; all else is the same to the last bit."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def _curve(job: Job, name: str) -> dict[int, Any]:
    """The last value of each step: what comes later supersedes, as in the index."""
    events = map(json.loads, (job.dir / "events.jsonl").read_text().splitlines())
    return {one["step"]: one["value"] for one in events if one["kind"] == "metric" and one["name"] == name}
