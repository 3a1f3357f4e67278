"""What a training does about what it sees: best weights, early stopping, divergence, full memory, few bits."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from backends import worker
from backends.jobs.job import Job, JobError
from backends.models.transformers_loader import load
from backends.work.finetune import finetune
from backends.work.training import heldout
from backends.work.training.divergence import Divergence, limit
from backends.work.training.heldout import HeldOut, Scored
from backends.work.training_events import mean_loss

pytestmark = pytest.mark.xdist_group("heavy")


@pytest.fixture
def make(make_job: Callable[..., Job], phantom_set: dict[str, str]) -> Callable[..., Job]:
    def get(run_id: int = 1, model: dict[str, Any] | None = None, **training: Any) -> Job:
        data = {"path": phantom_set["train"], "image_root": phantom_set["images"], "limit": None}
        given = {"method": "peft", "max_steps": 8, "batch_size": 4, "eval_every": 2, **training}
        given.setdefault("eval_data", {**data, "path": phantom_set["val"]})
        parts = {"model": model} if model else {}
        return make_job(run_id, kind="finetune", task=None, data=data, training=given, **parts)

    return get


def _scores(monkeypatch: pytest.MonkeyPatch, values: dict[int, float]) -> None:
    """Held-out answers are made as ever, their score is this, by step."""
    real = HeldOut.__call__

    def scored(self: HeldOut, step: int) -> Scored:
        real(self, step)
        self.history[-1] = Scored(step, {"cosine": values[step], "exact": 0.0})
        return self.history[-1]

    monkeypatch.setattr(HeldOut, "__call__", scored)


def test_the_best_weights_are_kept_where_they_are_not_the_last(
    make: Any, monkeypatch: pytest.MonkeyPatch, read_events: Any, tiny_checkpoint: Path
) -> None:
    _scores(monkeypatch, {0: 0.1, 2: 0.3, 4: 0.6, 6: 0.2, 8: 0.5})
    job = make()
    summary = finetune(job)
    assert summary["best"] == {"step": 4, "cosine": 0.6, "exact": 0.0} and summary["eval"]["step"] == 8
    assert summary["best_weights"] == str(job.dir / "best")
    weights = [load_file(job.dir / name / "adapter_model.safetensors") for name in ("best", "adapter")]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    four = make(2, max_steps=8, eval_data=None)
    monkeypatch.setattr("backends.work.finetune.ResumingTrainer", _stopping_at(4))
    finetune(four)
    kept = load_file(four.dir / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(kept[key], weights[0][key]) for key in kept)
    load(tiny_checkpoint, adapter=job.dir / "best", device="cpu")
    assert any("cosine 0.600" in event["text"] and "step 4" in event["text"] for event in read_events(job, "message"))
    assert (job.dir / "best" / "README.md").is_file()


def _stopping_at(step: int) -> Any:
    from transformers import TrainerCallback

    from backends.work.training.trainer import ResumingTrainer

    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == step

    return lambda **given: ResumingTrainer(**{**given, "callbacks": [*given["callbacks"], Stop()]})


@pytest.mark.parametrize("values", [{0: 0.1, 2: 0.3, 4: 0.4, 6: 0.4, 8: 0.5}, {0: 0.9, 2: 0.3, 4: 0.2, 6: 0.2, 8: 0.5}])
def test_where_the_last_are_the_best_there_is_no_second_folder(
    make: Any, monkeypatch: pytest.MonkeyPatch, values: dict[int, float]
) -> None:
    """Of a model that was better before training there is nothing to keep."""
    _scores(monkeypatch, values)
    job = make()
    assert "best_weights" not in finetune(job)
    assert not (job.dir / "best").exists() and (job.dir / "adapter").is_dir()


def test_it_stops_early_and_says_so(make: Any, monkeypatch: pytest.MonkeyPatch, read_events: Any) -> None:
    _scores(monkeypatch, {0: 0.1, 2: 0.3, 4: 0.6, 6: 0.6, 8: 0.2, 10: 0.1})
    job = make(max_steps=20, early_stopping=2)
    summary = finetune(job)
    assert (summary["steps"], summary["stopped_early"], summary["stopped"]) == (8, True, False)
    assert summary["best"]["step"] == 4 and (job.dir / "best").is_dir()
    assert any("stopped early: 2 scores without gain" in event["text"] for event in read_events(job, "message"))
    assert [event["step"] for event in read_events(job, "metric") if event["name"] == "loss"][-1] == 8


def test_early_stopping_counts_from_the_history_that_a_resume_keeps(tmp_path: Path) -> None:
    held_out = HeldOut.__new__(HeldOut)
    held_out.history = [Scored(0, {"exact": 0.2}), Scored(2, {"exact": 0.5}), Scored(4, {"exact": 0.5 + 1e-9})]
    assert held_out.best == Scored(2, {"exact": 0.5}) and held_out.without_gain == 1
    assert heldout.HISTORY == "held_out.json"


def test_without_the_embedding_exact_match_counts(make: Any, read_events: Any) -> None:
    job = make(max_steps=2)
    job.spec["scoring"] = {"embedding": "/nowhere/at-all"}
    summary = finetune(job)
    assert set(summary["eval"]) == {"step", "exact"}
    assert any("exact matches" in event["text"] for event in read_events(job, "message"))


# ------------------------------------------------------------------ divergence
def test_a_loss_far_above_its_start_ends_it_and_is_never_saved() -> None:
    watch = Divergence(lambda: "checkpoint-4")
    assert not watch.look({"loss": 1.0}, 1, 1e-3)
    assert not watch.look({"loss": limit(1.0)}, 2, 1e-3)
    assert watch.look({"loss": 9.0}, 3, 1e-3)
    assert not watch.look({"loss": 2.0}, 4, 1e-3)  # one bad batch
    assert watch.look({"loss": 9.0}, 5, 1e-3) and watch.look({"loss": 9.0}, 6, 1e-3)
    with pytest.raises(JobError, match=r"risen from 1.00 to 9.50 at step 7.*checkpoint-4 is the last good") as caught:
        watch.look({"loss": 9.5}, 7, 1e-3)
    assert "it was 0.001, try --set learning_rate=0.0002" in (caught.value.hint or "")


@pytest.mark.parametrize("rate", [1e30, 20.0])
def test_a_training_that_diverges_keeps_its_last_good_checkpoint(make: Any, rate: float) -> None:
    job = make(method="full", max_steps=40, learning_rate=rate, save_every=1, eval_data=None, warmup_ratio=0.2)
    with pytest.raises(JobError, match="has diverged"):
        finetune(job)
    for folder in (job.dir / "checkpoints").glob("checkpoint-*"):
        weights = load_file(folder / "model.safetensors")
        assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_the_mean_loss_knows_the_steps_of_all_attempts() -> None:
    log = [{"loss": 4.0, "step": 1}, {"loss": 2.0, "step": 3}, {"eval": 1, "step": 3}]
    assert mean_loss(log) == pytest.approx((4 + 2 * 2) / 3)
    assert mean_loss([]) is None


# ------------------------------------------------------------------ memory, bits
LIMITED = """
import json, os, resource, sys
from pathlib import Path
os.environ["OMP_NUM_THREADS"] = "1"
import backends
from backends import worker
from backends.jobs.events import EventWriter
from backends.jobs.job import Job
from backends.jobs.store import Control
from backends.work import encoding, finetune
from db.home import Home
home, number, batch = Home(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
folder = home.run_dir(number)
spec = worker.for_attempt(json.loads((folder / "spec.json").read_text()), Control(1.0, batch=batch or None))
real = finetune.ResumingTrainer.training_step
def limited(self, *given, **options):
    if not getattr(self, "limited", False):
        self.limited = True
        model, inputs = given[:2]  # one sample: threads and what they keep are there before the limit is
        model(**{name: tensor[:1] for name, tensor in inputs.items()}).loss.backward()
        model.zero_grad()
        held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv[4]), resource.RLIM_INFINITY))
    return real(self, *given, **options)
finetune.ResumingTrainer.training_step = limited
sys.exit(worker.run(Job(home, number, 1, spec, EventWriter(folder / "events.jsonl"))))
"""


@pytest.mark.slow
def test_a_smaller_batch_fits_where_memory_really_ran_out(make: Any, read_events: Any) -> None:
    """The address space is limited from the first step on; torch's own allocator fails."""
    job = make(max_steps=2, batch_size=48, eval_data=None, save_every=2)
    root = Path(__file__).parents[4]

    def attempt(batch: int, room: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", LIMITED, str(job.home.root), "1", str(batch), str(room)]
        return subprocess.run(
            words, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
        )

    room = 24 << 20
    first = attempt(0, room)
    assert first.returncode == worker.FAILED, first.stdout + first.stderr
    assert read_events(job, "failed")[-1]["error"] == "out_of_memory", first.stderr[-3000:]
    second = attempt(4, room)
    assert second.returncode == worker.DONE, second.stdout[-2000:] + second.stderr[-2000:]
    summary = read_events(job, "finished")[-1]["summary"]
    assert (summary["batch_size"], summary["accumulation"], summary["steps"]) == (4, 12, 2)
    assert resource.RLIMIT_AS is not None


def test_half_the_batch_twice_is_the_same_training(make: Any) -> None:
    from backends.jobs.store import Control

    whole, halved = make(1, method="full", max_steps=5, batch_size=6), make(2, method="full", max_steps=5, batch_size=6)
    one = finetune(whole)
    spec = worker.for_attempt(halved.spec, Control(1.0, batch=3))
    other = finetune(Job(halved.home, 2, 2, spec, halved.events))
    assert (other["batch_size"], other["accumulation"], other["steps"]) == (3, 2, one["steps"])
    assert other["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
    left, right = (load_file(job.dir / "model" / "model.safetensors") for job in (whole, halved))
    assert all(torch.allclose(left[key], right[key], atol=2e-4) for key in left)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_a_lora_on_few_bits(make: Any, tiny_checkpoint: Path, precision: str) -> None:
    model = {"name": "tiny", "source": str(tiny_checkpoint), "revision": None, "from_run": None, "precision": precision}
    job = make(1, model, method="auto", learning_rate=2e-2)
    summary = finetune(job)
    assert summary["method"] == "peft"
    losses = [json.loads(line) for line in (job.dir / "events.jsonl").read_text().splitlines()]
    curve = [event["value"] for event in losses if event["kind"] == "metric" and event["name"] == "loss"]
    assert curve[-1] < curve[0]
    again = make(2, {**model, "from_run": 1})
    assert finetune(again)["trained_parameters"] == summary["trained_parameters"]


def test_all_weights_of_few_bits_are_refused(make: Any, tiny_checkpoint: Path) -> None:
    model = {"name": "tiny", "source": str(tiny_checkpoint), "from_run": None, "precision": "4bit"}
    with pytest.raises(JobError, match="quantised model cannot be trained"):
        finetune(make(1, model, method="full"))


def test_in_the_order_of_the_file(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    from backends.work.encoding import EncodedSamples

    real = EncodedSamples.__getitems__

    def spy(self: EncodedSamples, indices: Any) -> Any:
        seen.extend(self.samples[index].id for index in indices)
        return real(self, indices)

    monkeypatch.setattr(EncodedSamples, "__getitems__", spy)
    finetune(make(1, max_steps=3, shuffle=False, eval_data=None))
    first = seen[-12:]
    seen.clear()
    finetune(make(2, max_steps=3, seed=5, eval_data=None))
    assert first != seen[-12:] and len(set(first)) == 12
