"""The training part of a spec, with its defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from backends.jobs.job import JobError
from backends.jobs.settings import METHODS, training_seed


@dataclass(frozen=True)
class TrainingPlan:
    """How to fine-tune. Steps are optimiser steps of ``batch_size * accumulation`` samples.

    What each setting means is said in backends.jobs.settings.MEANINGS. The defaults here are those of a spec that
    does not name the setting, as specs that are older than it do.
    """

    method: str = "auto"
    max_steps: int | None = None
    epochs: float = 3.0
    learning_rate: float = 2e-4
    batch_size: int = 8
    accumulation: int = 1
    warmup_ratio: float = 0.03
    schedule: str = "cosine"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    eval_every: int | None = None
    eval_data: dict[str, Any] | None = None
    """As the spec's ``data``: path, image_root, limit."""
    eval_limit: int | None = 200
    save_every: int | None = None
    lora: dict[str, Any] = field(default_factory=dict)
    max_pixels: int | None = None
    max_length: int | None = None
    early_stopping: int | None = None
    seed: int = 0
    shuffle: bool = True
    report_to: tuple[str, ...] = ()

    def total_steps(self, samples: int) -> int:
        """Optimiser steps of the whole training."""
        if self.max_steps:
            return self.max_steps
        batches = math.ceil(samples / self.batch_size)
        return max(1, math.ceil(self.epochs * math.ceil(batches / self.accumulation)))


def training_plan(spec: dict[str, Any]) -> TrainingPlan:
    """Read ``spec["training"]``; None means the default, fields of other methods are ignored.

    Raises:
        JobError: there is none, or a value makes no sense.
    """
    given = spec.get("training")
    if given is None:
        raise JobError("a fine-tune needs training settings", "queue it with fada finetune")
    known = {entry.name for entry in fields(TrainingPlan)}
    named = {name: value for name, value in given.items() if name in known and value is not None}
    reporting = named.get("report_to") or ()
    named["report_to"] = (reporting,) if isinstance(reporting, str) else tuple(reporting)
    plan = TrainingPlan(**{**named, "seed": training_seed(spec)})
    if plan.method not in METHODS:
        raise JobError(f"method {plan.method!r} is not available here", f"use one of {', '.join(METHODS)}")
    for name in ("epochs", "learning_rate", "batch_size", "accumulation"):
        if not getattr(plan, name) > 0:
            raise JobError(f"{name} must be above 0, not {getattr(plan, name)}", f"use --set {name}=…")
    return plan
