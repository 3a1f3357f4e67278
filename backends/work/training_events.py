"""What a training tells while it runs: curves, progress, held-out scores, checkpoints; and how it stops."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from backends.jobs.disk import WHOLE
from backends.jobs.job import Job
from backends.work.common import Throttle, sync_folder
from backends.work.encoding import Collate
from backends.work.training.divergence import Divergence
from backends.work.training.keep import sync_files

PROGRESS_EVERY_S = 0.25


class EventCallback(TrainerCallback):
    """Streams a Trainer's life into the job's event file.

    Args:
        held_out: Scores the model as it is, given the step and whether it is the last; True ends the training. None
            where there is no held-out data.
        eval_every: Steps between held-out scores; the first (step 0) and the last step are always scored.
    """

    def __init__(
        self, job: Job, collate: Collate, held_out: Callable[[int, bool], bool] | None, eval_every: int
    ) -> None:
        self.job = job
        self.collate = collate
        self.held_out = held_out
        self.eval_every = eval_every
        self.stopped = False
        self.early = False
        """No held-out score was better for as long as the plan waits."""
        self._divergence = Divergence(self._last_checkpoint)
        self._tell = Throttle(PROGRESS_EVERY_S)
        self._scored = -1
        self._clock = 0.0
        self._counted = (0, 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.job.events.progress(state.global_step, state.max_steps, "steps", "train")
        if state.global_step == 0 or state.global_step >= state.max_steps:
            self._score(state.global_step, last=state.global_step >= state.max_steps)
        self._divergence.go_on(state.log_history)
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
            if self._score(state.global_step, last=last or self.stopped) and not (last or self.stopped):
                self.early = control.should_training_stop = control.should_log = True
            self._clock += time.perf_counter() - start

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        step = state.global_step
        for name in ("loss", "learning_rate", "grad_norm"):
            if name in logs:
                self.job.events.metric(name, float(logs[name]), step)
        if self._divergence.look(logs, step, args.learning_rate):
            control.should_save = False
        seconds = max(time.perf_counter() - self._clock, 1e-9)
        samples, tokens = self.collate.samples - self._counted[0], self.collate.tokens - self._counted[1]
        self.job.events.metric("samples_per_s", round(samples / seconds, 2), step)
        self.job.events.metric("tokens_per_s", round(tokens / seconds, 1), step)
        if torch.cuda.is_available():
            self.job.events.metric("allocated_peak_bytes", float(torch.cuda.max_memory_allocated()), step)
        self._restart_clock()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        sync_files(folder)
        (folder / WHOLE).touch()
        sync_folder(folder)
        sync_folder(folder.parent)
        self.job.events.checkpoint(str(folder.relative_to(self.job.dir)), state.global_step)

    def _score(self, step: int, *, last: bool) -> bool:
        if self.held_out is None or step == self._scored:
            return False
        self._scored = step
        return self.held_out(step, last)

    def _last_checkpoint(self) -> str | None:
        found = last_whole_checkpoint(self.job.dir / "checkpoints")
        return found.name if found else None

    def _restart_clock(self) -> None:
        self._clock = time.perf_counter()
        self._counted = (self.collate.samples, self.collate.tokens)


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; half-written ones are removed on the way."""
    while folder.is_dir() and (found := get_last_checkpoint(str(folder))) is not None:
        if (Path(found) / WHOLE).exists():
            return Path(found)
        shutil.rmtree(found)
    return None


def mean_loss(log_history: list[dict[str, Any]]) -> float | None:
    """The mean over all steps, those of earlier attempts included: the Trainer's own forgets these."""
    total, before = 0.0, 0
    for entry in log_history:
        if "loss" in entry and math.isfinite(entry["loss"]):
            total += entry["loss"] * (entry["step"] - before)
            before = entry["step"]
    return total / before if before else None
