"""A callback for anybody's own transformers Trainer under `fada run`: progress, curves and checkpoints in the panel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from backends.jobs.events import EventWriter
from backends.work.common import Throttle

PROGRESS_EVERY_S = 0.25


class FadaCallback(TrainerCallback):
    """``Trainer(…, callbacks=[FadaCallback()])``: what it logs; outside of `fada run` nothing at all."""

    def __init__(self) -> None:
        path = os.environ.get("FADA_EVENTS")
        self._events = EventWriter(path) if path else None
        self._tell = Throttle(PROGRESS_EVERY_S)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._tell.ready():
            self._progress(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(state)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if self._events is None or not state.is_world_process_zero:
            return
        for name, value in (logs or {}).items():
            if isinstance(value, (int, float)):
                self._events.metric(name, float(value), state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._events is not None and state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self._events.checkpoint(str(folder.absolute()), state.global_step)

    def _progress(self, state: Any) -> None:
        if self._events is not None and state.is_world_process_zero:
            self._events.progress(state.global_step, state.max_steps, "steps", "train")
