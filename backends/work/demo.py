"""The demo job: makes phantoms and a tiny model with random weights, then queues evaluate → fine-tune → evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends.jobs.demo_plan import PLAN
from backends.jobs.job import Job
from backends.jobs.launch import enqueue_eval
from backends.jobs.launch_finetune import enqueue_finetune
from backends.jobs.limits import max_seconds
from backends.models.tiny import build_tiny
from backends.work.phantoms import answers_corpus, make_phantoms

NAME = "tiny-llava"


def run(job: Job) -> dict[str, Any]:
    """Queue the chain from inside the job, so that it goes on whoever started the demo is gone."""
    job.events.started(device="cpu", versions={}, total=3, unit="step")
    data = job.dir / "phantoms"
    made = make_phantoms(data, train=PLAN.train, val=PLAN.val, test=PLAN.test, seed=PLAN.seed)
    job.events.progress(1, 3, "step", "synthetic ultrasound")
    checkpoint = job.dir / NAME
    build_tiny(checkpoint, answers_corpus(), PLAN.seed)
    job.events.progress(2, 3, "step", "tiny model")
    runs = _queue_chain(job, checkpoint, made)
    job.events.progress(3, 3, "step", "queued")
    job.events.message("info", "queued evaluate #{}, fine-tune #{}, evaluate #{}".format(*runs))
    return {"runs": runs, "data": str(data), "model": str(checkpoint)}


def _queue_chain(job: Job, checkpoint: Path, made: dict[str, Any]) -> list[int]:
    limit = max_seconds(job.spec)
    test = {"data": made["test"], "image_root": made["images"], "generation": PLAN.generation, "max_seconds": limit}
    base = enqueue_eval(job.home, str(checkpoint), name=NAME, **test)
    tune = enqueue_finetune(
        job.home,
        str(checkpoint),
        data=made["train"],
        eval_data=made["val"],
        image_root=made["images"],
        settings=PLAN.training,
        generation=PLAN.generation,
        after=[base],
        name=NAME,
        max_seconds=limit,
    )
    tuned = enqueue_eval(job.home, str(checkpoint), adapter=tune, after=[tune], name=NAME, **test)
    return [base, tune, tuned]
