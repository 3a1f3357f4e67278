"""transformers' Trainer, set up by a plan, and one that really goes on from a checkpoint of all weights."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainingArguments

from backends.jobs.job import Job
from backends.models.transformers_loader import TransformersModel, restore_weights
from backends.models.unsloth_loader import OPTIMISER, UnslothModel
from backends.work.plan import TrainingPlan

CHECKPOINT_ACTIVATIONS_ABOVE = 1_000_000_000
LOGS, SAVES = 100, 5
"""How many of each in one training, where the spec does not say."""


class ResumingTrainer(Trainer):
    """A Trainer that really goes on from a checkpoint of all weights.

    transformers 5 renames weights when it saves, but the Trainer compares names literally when it resumes and only
    logs what it does not find: it would go on with the weights from before the training.
    """

    in_order = False
    """The samples come as they are in the data, in every epoch."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        target = self.model if model is None else model
        if hasattr(target, "peft_config"):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            restore_weights(target, resume_from_checkpoint)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[Any] | None:
        if self.in_order:
            return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)  # type: ignore[arg-type]
        sampler: Sampler[Any] | None = super()._get_train_sampler(train_dataset)
        return sampler


def arguments(job: Job, plan: TrainingPlan, model: TransformersModel, total: int) -> TrainingArguments:
    """What the Trainer is told. Checkpoints go into the run's directory."""
    cuda = model.torch_device.type == "cuda"
    # What unsloth loaded keeps fewer activations by itself, in its own way.
    own = isinstance(model, UnslothModel)
    checkpoint_activations = cuda and not own and model.parameters > CHECKPOINT_ACTIVATIONS_ABOVE
    if checkpoint_activations:
        model.model.enable_input_require_grads()
    save_every = plan.save_every or max(1, total // SAVES)
    # A log comes with every save, before it, so that a diverged state is never saved.
    log_every = _largest_divisor(save_every, max(1, total // LOGS))
    return TrainingArguments(
        output_dir=str(job.dir / "checkpoints"),
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.accumulation,
        max_steps=total,
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.schedule,
        warmup_steps=round(plan.warmup_ratio * total),
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        optim=OPTIMISER if own and cuda else "adamw_torch_fused",
        seed=plan.seed,
        data_seed=plan.seed,
        bf16=cuda,
        use_cpu=not cuda,
        gradient_checkpointing=checkpoint_activations,
        logging_steps=log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=save_every,
        save_total_limit=2,
        report_to=list(plan.report_to),
        project="fada",
        run_name=f"#{job.run_id} {job.spec['model'].get('name') or job.spec['model']['source']}",
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
    )


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(min(number, limit), 0, -1) if number % divisor == 0)
