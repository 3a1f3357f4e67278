"""Fine-tune a model on questions and answers about images, with transformers' Trainer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from backends.data.sample import Sample
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.models.device import versions
from backends.models.prompts import end_tokens
from backends.models.transformers_loader import TransformersModel, restore_weights
from backends.scoring.answer import Answer
from backends.scoring.score import score_answers
from backends.work.asking import Asker
from backends.work.common import check_unchanged, generation_of, how_loaded, load_model, read_samples, sync_folder
from backends.work.encoding import Collate, EncodedSamples, Encoder
from backends.work.evaluate import is_overall
from backends.work.plan import TrainingPlan, training_plan
from backends.work.trained import Trained, held_out_overlap, record_training
from backends.work.training_events import EventCallback, last_whole_checkpoint

FULL_BELOW = 50_000_000
"""Parameters: ``auto`` trains all of a smaller model, and a LoRA on a larger one."""
CHECKPOINT_ACTIVATIONS_ABOVE = 1_000_000_000
LOGS, EVALUATIONS, SAVES = 100, 8, 5
"""How many of each in one training, where the spec does not say."""


def finetune(job: Job) -> dict[str, Any]:
    """Train, and leave ``model/`` (method full) or ``adapter/`` (peft) in the run directory.

    Continues from the last whole checkpoint of an earlier attempt. Samples are shuffled by the spec's seed.

    Returns:
        The summary: steps, losses, speed, the last held-out score, and what was left where.

    Raises:
        JobError: the spec, the data or the model cannot be used, or the loss is no longer a number.
    """
    spec = job.spec
    plan, data, seed = training_plan(spec), spec["data"], int(spec.get("seed") or 0)
    if data is None:
        raise JobError("a fine-tune needs data", "give --data FILE.jsonl")
    set_seed(seed)
    check_unchanged(data)
    samples = read_samples(data["path"], data.get("image_root"), data.get("limit"), seed)
    held_out = _held_out_samples(plan, seed)
    training = record_training(job, samples)
    shared = held_out_overlap(job, training, held_out, plan.eval_data or {}) if held_out else Trained()
    model, method = _load(job, plan)
    encoder = Encoder(model.prompts, end_tokens(model.model, model.prompts.tokenizer))
    collate = Collate(model.prompts.tokenizer.pad_token_id)
    total = plan.total_steps(len(samples))
    scorer = HeldOut(job, model, held_out, shared) if held_out else None
    events = EventCallback(job, collate, scorer, plan.eval_every or max(1, total // EVALUATIONS))
    trainer = ResumingTrainer(
        model=model.model,
        args=_arguments(job, plan, model, total, seed),
        train_dataset=EncodedSamples(samples, encoder),
        data_collator=collate,
        callbacks=[events],
    )
    trainer.remove_callback(PrinterCallback)
    job.events.started(device=model.device, versions=versions(), total=total, unit="steps", **how_loaded(model))
    summary = _train(job, trainer)
    left = _save(job, model, method)
    write_json(job.dir / "scores.json", {"scores": scorer.final() if scorer else [], "finished": True})
    if not events.stopped:
        shutil.rmtree(job.dir / "checkpoints", ignore_errors=True)
    return {
        "method": method,
        **summary,
        "stopped": events.stopped,
        "samples": len(samples),
        "eval_exact": scorer.exact if scorer else None,
        left.name: str(left),
    }


def _train(job: Job, trainer: Trainer) -> dict[str, Any]:
    """Train from the start or from the last whole checkpoint."""
    checkpoint = last_whole_checkpoint(job.dir / "checkpoints")
    if checkpoint:
        job.events.message("info", f"goes on from {checkpoint.name}")
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model: Any = trainer.model
    parameters = list(model.parameters())
    return {
        "steps": trainer.state.global_step,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "trained_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        "train_loss": result.training_loss,
        "seconds": round(result.metrics["train_runtime"], 3),
    }


class ResumingTrainer(Trainer):
    """A Trainer that really goes on from a checkpoint of all weights.

    transformers 5 renames weights when it saves, but the Trainer compares names literally when it resumes and only
    logs what it does not find: it would go on with the weights from before the training.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        target = self.model if model is None else model
        if hasattr(target, "peft_config"):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            restore_weights(target, resume_from_checkpoint)


class HeldOut:
    """Scores the model in training on held-out samples by exact match; called with the step."""

    def __init__(self, job: Job, model: TransformersModel, samples: Sequence[Sample], shared: Trained) -> None:
        self.job = job
        self.samples = samples
        self.shared = shared
        self.asker = Asker(model, int((job.spec.get("generation") or {}).get("batch_size") or 32))
        self.model = model
        self.exact: float | None = None
        self._step = 0
        self._answers: list[Answer] = []

    def __call__(self, step: int) -> None:
        self.model.model.eval()
        self._step, self._answers = (
            step,
            [
                Answer(
                    id=asked.sample.id,
                    image_path=asked.sample.image_path,
                    category=asked.sample.category,
                    topic=asked.sample.topic,
                    reference=asked.sample.reference,
                    prediction=asked.reply.text if asked.reply else None,
                    error=asked.error,
                )
                for results in self.asker.run(self.samples)
                for asked in results
            ],
        )
        self.model.model.train()
        for row in self._scores(resamples=0, partial=True):
            self.job.events.score(**row)
            if row["metric"] == "exact":
                self.exact = row["value"]
                self.job.events.metric("eval_exact", row["value"], step)

    def final(self) -> list[dict[str, Any]]:
        """The overall rows of the last call, with full intervals."""
        return self._scores(seed=int(self.job.spec.get("seed") or 0))

    def _scores(self, **options: Any) -> list[dict[str, Any]]:
        rows = self.shared.mark(score_answers(self._answers, **options), self._answers)
        return [{**row, "step": self._step, "split": "held-out"} for row in rows if is_overall(row)]


def _held_out_samples(plan: TrainingPlan, seed: int) -> list[Sample]:
    data = plan.eval_data
    if data is None:
        return []
    check_unchanged(data)
    return read_samples(data["path"], data.get("image_root"), data.get("limit") or plan.eval_limit, seed)


def _load(job: Job, plan: TrainingPlan) -> tuple[TransformersModel, str]:
    """The model ready to train, and the method that ``auto`` stands for."""
    generation, method = generation_of(job.spec), plan.method
    # All weights are trained in float32 (bfloat16 only in the arithmetic): small steps would be rounded away.
    model = load_model(job, generation, trainable=True, dtype=torch.float32 if method == "full" else None)
    if method == "auto":
        method = "full" if model.parameters < FULL_BELOW else "peft"
        if method == "full" and model.model.dtype != torch.float32:
            model.unload()
            model = load_model(job, generation, trainable=True, dtype=torch.float32)
    if method == "full":
        if hasattr(model.model, "merge_and_unload"):
            model.model = model.model.merge_and_unload()
        model.model.requires_grad_(True)
    elif not hasattr(model.model, "peft_config"):
        model.model = _with_lora(model.model, plan)
    return model, method


def _with_lora(model: Any, plan: TrainingPlan) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = plan.lora
    config = LoraConfig(
        r=int(lora.get("r", 16)),
        lora_alpha=int(lora.get("alpha", 32)),
        lora_dropout=float(lora.get("dropout", 0.05)),
        target_modules=lora.get("target_modules", "all-linear"),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _arguments(job: Job, plan: TrainingPlan, model: TransformersModel, total: int, seed: int) -> TrainingArguments:
    cuda = model.torch_device.type == "cuda"
    checkpoint_activations = cuda and model.parameters > CHECKPOINT_ACTIVATIONS_ABOVE
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
        optim="adamw_torch_fused",
        seed=seed,
        data_seed=seed,
        bf16=cuda,
        use_cpu=not cuda,
        gradient_checkpointing=checkpoint_activations,
        logging_steps=log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=save_every,
        save_total_limit=2,
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
    )


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(min(number, limit), 0, -1) if number % divisor == 0)


def _save(job: Job, model: TransformersModel, method: str) -> Path:
    """Write the result beside its place and rename it there when it is whole."""
    name: str = "model" if method == "full" else "adapter"
    folder, temporary = job.dir / name, job.dir / f"{name}.tmp"
    save: Callable[[str], Any] = model.model.save_pretrained
    shutil.rmtree(temporary, ignore_errors=True)
    save(str(temporary))
    model.processor.save_pretrained(str(temporary))
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    sync_folder(job.dir)
    return folder
