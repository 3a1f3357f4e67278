"""The model of a fine-tune, ready to train: all its weights, a LoRA on it, or what unsloth makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from backends.jobs.job import Job, JobError
from backends.models.precision import QUANTISED
from backends.models.transformers_loader import TransformersModel
from backends.work.common import generation_of, load_model
from backends.work.plan import TrainingPlan
from backends.work.training.lora import with_lora

FULL_BELOW = 50_000_000
"""Parameters: ``auto`` trains all of a smaller model, and a LoRA on a larger one."""


@dataclass(frozen=True)
class Prepared:
    """``method`` is what ``auto`` stood for: full, peft or unsloth."""

    model: TransformersModel
    method: str

    @property
    def left(self) -> str:
        """The folder of its result in the run's directory."""
        return "model" if self.method == "full" else "adapter"


def prepare(job: Job, plan: TrainingPlan) -> Prepared:
    """Load the model and make trainable what the plan's method trains.

    ``auto`` is unsloth where it can be used here, else all weights of a small model, else LoRA through PEFT.

    Raises:
        JobError: The model does not load, or the method cannot train it here.
    """
    quantised = (job.spec["model"].get("precision") or "auto") in QUANTISED
    if plan.method == "full" and quantised:
        raise JobError(
            "all weights of a quantised model cannot be trained: they have no gradients",
            "use --set method=peft, or leave --precision out",
        )
    if plan.method in ("auto", "unsloth"):
        model = _by_unsloth(job, plan)
        if model is not None:
            return Prepared(model, "unsloth")
    return _by_transformers(job, plan, quantised)


def _by_unsloth(job: Job, plan: TrainingPlan) -> TransformersModel | None:
    """None where ``auto`` has to do without."""
    from backends.work.training.unsloth_method import prepare_unsloth, usable

    why_not = usable(job.spec)
    if why_not is None:
        return prepare_unsloth(job, plan)
    if plan.method == "unsloth":
        raise JobError(f"unsloth cannot be used here: {why_not}", "use --set method=peft, which trains the same LoRA")
    job.events.message("info", f"trained without unsloth: {why_not}")
    return None


def _by_transformers(job: Job, plan: TrainingPlan, quantised: bool) -> Prepared:
    generation, method = generation_of(job.spec), plan.method
    # All weights are trained in float32 (bfloat16 only in the arithmetic): small steps would be rounded away.
    model = load_model(job, generation, trainable=True, dtype=torch.float32 if method == "full" else None)
    if method == "auto":
        method = "full" if model.parameters < FULL_BELOW and not quantised else "peft"
        if method == "full" and model.model.dtype != torch.float32:
            model.unload()
            model = load_model(job, generation, trainable=True, dtype=torch.float32)
    if method == "full":
        if hasattr(model.model, "merge_and_unload"):
            model.model = model.model.merge_and_unload()
        model.model.requires_grad_(True)
        return Prepared(model, method)
    if quantised:
        model.model = _of_few_bits(model.model)
    if not hasattr(model.model, "peft_config"):
        model.model = with_lora(model.model, plan.lora, job.events.message)
    return Prepared(model, method)


def _of_few_bits(model: Any) -> Any:
    """A quantised model as QLoRA wants it: frozen, norms in 32 bits. What was trainable (a LoRA) stays so."""
    from peft import prepare_model_for_kbit_training

    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ready = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if hasattr(model, "peft_config"):
        for parameter in trainable:
            parameter.requires_grad_(True)
    return ready
