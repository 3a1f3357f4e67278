"""Stop and save: a run that was asked to is cancelled, says how far it came, and goes on from there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.jobs import lock, queue
from backends.jobs.errors import QueueError
from backends.jobs.reindex import reindex
from backends.jobs.state import derive
from backends.jobs.store import read_attempt
from db.home import Home
from db.runs.rows import Run

Until = Callable[..., Run]
Queue = Callable[..., int]

STOPS = "import time; [time.sleep(0.05) for _ in iter(job.stop_requested, True)] if job.attempt == 1 else 0; "
TRAINING = STOPS + "return {'stopped': job.attempt == 1, 'steps': 7}"
ASKING = STOPS + "return {'stopped': '3 of 8 answers' if job.attempt == 1 else None}"


def begun(run: Run) -> bool:
    return run.state == "running"


def test_training_is_cancelled_with_its_step_and_can_be_resumed(
    home: Home, queue_eval: Queue, queue_python: Queue, until: Until
) -> None:
    run_id = queue_eval(TRAINING, kind="finetune", task=None)
    after = queue_python("pass", after=[run_id])
    until(run_id, begun)
    (said,) = queue.cancel(home, run_id, save=True)
    assert said.startswith(f"#{run_id} was asked to save and stop; once it has, `fada resume {run_id}`")
    run = until(run_id)
    assert (run.state, run.reason) == ("cancelled", "stopped and saved at step 7")
    waited = until(after)
    assert waited.state == "cancelled"
    assert waited.reason == f"#{run_id}, which it waits for, was cancelled (stopped and saved at step 7)"
    reindex(home)
    assert until(run_id).reason == "stopped and saved at step 7"
    queue.resume(home, run_id)
    run = until(run_id)
    assert (run.state, run.attempt) == ("done", 2)


def test_an_evaluation_says_how_many_answers_it_has(home: Home, queue_eval: Queue, until: Until) -> None:
    run_id = queue_eval(ASKING)
    until(run_id, begun)
    queue.pause(home, run_id)  # it must be let go to hear
    queue.cancel(home, run_id, save=True)
    run = until(run_id)
    assert (run.state, run.reason) == ("cancelled", "stopped and saved after 3 of 8 answers")


def test_a_dead_runner_does_not_make_a_stopped_run_done(home: Home, queue_eval: Queue, until: Until) -> None:
    run_id = queue_eval(TRAINING)
    until(run_id, begun)
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.runner is not None
    os.kill(attempt.runner.pid, signal.SIGKILL)
    queue.cancel(home, run_id, save=True)
    run = until(run_id)
    assert run.state == "cancelled" and run.reason is not None and run.reason.startswith("stopped and saved at step 7")


def test_what_cannot_save_is_not_asked_to(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("import time; time.sleep(300)")
    until(run_id, begun)
    with pytest.raises(QueueError, match="nothing to save"):
        queue.cancel(home, run_id, save=True)
    assert not lock.take(home.run_dir(run_id) / "lock")
    assert derive(home.run_dir(run_id)).name == "running"


def test_a_waiting_run_is_simply_cancelled(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("pass", held=True)
    queue.cancel(home, run_id, save=True)
    assert until(run_id).state == "cancelled"


@pytest.mark.slow
@pytest.mark.xdist_group("heavy")
def test_a_real_training_saves_and_goes_on(
    home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str], until: Until
) -> None:
    settings = {"method": "full", "max_steps": 400, "batch_size": 4}
    run_id = queue.enqueue_finetune(
        home, str(tiny_checkpoint), data=phantom_set["train"], image_root=phantom_set["images"], settings=settings
    )
    until(run_id, lambda run: run.state == "running" and bool(run.done))
    queue.cancel(home, run_id, save=True)
    run = until(run_id)
    assert run.state == "cancelled" and run.reason is not None and run.reason.startswith("stopped and saved at step ")
    step = int(run.reason.rsplit(" ", 1)[1])
    assert 0 < step < 400 and (home.run_dir(run_id) / f"checkpoints/checkpoint-{step}").is_dir()
    queue.resume(home, run_id)
    goes_on = until(run_id, lambda run: run.is_over or (run.attempt == 2 and (run.done or 0) > step))
    assert goes_on.attempt == 2 and goes_on.state in ("running", "done")
    assert f"goes on from checkpoint-{step}" in (home.run_dir(run_id) / "events.jsonl").read_text()
