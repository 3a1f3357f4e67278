"""Trains one run's spec in a process that is to be killed; made slow by nothing, it says each step."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
import backends  # noqa: F401

# isort: split
from backends.jobs.events import EventWriter
from backends.jobs.job import Job
from backends.work.finetune import finetune
from db.home import Home


def main(root: str, run_id: int, die_in: str, die_at: int) -> None:
    """Die by SIGKILL at the ``die_at``-th call of what ``die_in`` names; never where it is "nowhere"."""
    home = Home(Path(root))
    folder = home.run_dir(run_id)
    spec = json.loads((folder / "spec.json").read_text())
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == die_at:
            os.kill(os.getpid(), 9)

    import transformers

    from backends.work.training import keep, trainer

    def before(owner: object, name: str, after: bool = False) -> None:
        real = getattr(owner, name)

        def instead(*args: object, **options: object) -> object:
            if not after:
                count()
            made = real(*args, **options)
            if after:
                count()
            return made

        setattr(owner, name, instead)

    places = {
        "step": (trainer.ResumingTrainer, "training_step", True),
        "save_weights": (transformers.Trainer, "save_model", True),  # weights there, optimiser not
        "save_optimiser": (transformers.Trainer, "_save_optimizer_and_scheduler", True),
        "save_state": (transformers.Trainer, "_save_rng_state", True),
        "mark": (keep, "sync_files", False),
        "result": (keep, "sync_files", True),
    }
    if die_in in places:
        before(*places[die_in])
    if die_in == "mark":
        import backends.work.training_events as events

        before(events, "sync_files")
    summary = finetune(Job(home, run_id, 1, spec, EventWriter(folder / "events.jsonl")))
    (folder / "summary.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
