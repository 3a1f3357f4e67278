"""What a training tells while it runs: curves, progress, held-out scores, checkpoints; and how it stops."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from backends.jobs.disk import WHOLE
from backends.jobs.job import Job, JobError
from backends.work.common import Throttle, sync_folder
from backends.work.encoding import Collate

PROGRESS_EVERY_S = 0.25


class EventCallback(TrainerCallback):
    """Streams a Trainer's life into the job's event file.

    Args:
        held_out: scores the model as it is, given the step; None where there is no held-out data.
        eval_every: steps between held-out scores; the first (step 0) and the last step are always scored.
    """

    def __init__(self, job: Job, collate: Collate, held_out: Callable[[int], None] | None, eval_every: int) -> None:
        self.job = job
        self.collate = collate
        self.held_out = held_out
        self.eval_every = eval_every
        self.stopped = False
        self._tell = Throttle(PROGRESS_EVERY_S)
        self._scored = -1
        self._clock = 0.0
        self._counted = (0, 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.job.events.progress(state.global_step, state.max_steps, "steps", "train")
        if state.global_step == 0:
            self._score(0)
        self._restart_clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        last = state.global_step >= state.max_steps
        if last or self._tell.ready():
            self.job.events.progress(state.global_step, state.max_steps, "steps", "train")
            if not last and self.job.stop_requested():
                self.stopped = True
                control.should_training_stop = control.should_save = control.should_log = True
        if self.stopped or last or state.global_step % self.eval_every == 0:
            start = time.perf_counter()
            self._score(state.global_step)
            self._clock += time.perf_counter() - start

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        step = state.global_step
        for name in ("loss", "grad_norm"):
            if name in logs and not math.isfinite(float(logs[name])):
                raise JobError(
                    f"{name} became {logs[name]} at step {step}: the training has diverged",
                    "lower the learning rate (--set learning_rate=…), or look for broken references in the data",
                )
        for name in ("loss", "learning_rate", "grad_norm"):
            if name in logs:
                self.job.events.metric(name, float(logs[name]), step)
        seconds = time.perf_counter() - self._clock
        samples, tokens = self.collate.samples - self._counted[0], self.collate.tokens - self._counted[1]
        self.job.events.metric("samples_per_s", round(samples / seconds, 2), step)
        self.job.events.metric("tokens_per_s", round(tokens / seconds, 1), step)
        self._restart_clock()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        (folder / WHOLE).touch()
        sync_folder(folder)
        self.job.events.checkpoint(str(folder.relative_to(self.job.dir)), state.global_step)

    def _score(self, step: int) -> None:
        if self.held_out is not None and step != self._scored:
            self._scored = step
            self.held_out(step)

    def _restart_clock(self) -> None:
        self._clock = time.perf_counter()
        self._counted = (self.collate.samples, self.collate.tokens)


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; half-written ones are removed on the way."""
    import shutil

    while folder.is_dir() and (found := get_last_checkpoint(str(folder))) is not None:
        if (Path(found) / WHOLE).exists():
            return Path(found)
        shutil.rmtree(found)
    return None
