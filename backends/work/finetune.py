"""Fine-tune a model on questions and answers about images, with transformers' Trainer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, Trainer, set_seed

from backends.data.sample import Sample
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.models.device import versions
from backends.models.pixels import limit_pixels
from backends.models.prompts import end_tokens
from backends.work.common import check_unchanged, how_loaded, read_samples
from backends.work.encoding import Collate, EncodedSamples, Encoder, UnreadableImage
from backends.work.plan import TrainingPlan, training_plan
from backends.work.trained import Trained, held_out_overlap, record_training
from backends.work.training.heldout import HeldOut, Scored
from backends.work.training.keep import Best, facts, save
from backends.work.training.lengths import Counted, count_tokens
from backends.work.training.methods import Prepared, prepare
from backends.work.training.reporting import prepare_reporting
from backends.work.training.samples import TOO_MANY, Chosen, readable, short_enough
from backends.work.training.trainer import ResumingTrainer, arguments
from backends.work.training_events import EventCallback, last_whole_checkpoint, mean_loss

EVALUATIONS = 8
"""How many in one training, where the spec does not say."""


def finetune(job: Job) -> dict[str, Any]:
    """Train, and leave ``model/`` (method full) or ``adapter/`` (LoRA) in the run directory: the last weights.

    ``best/`` is left beside it where an earlier held-out score was better. Continues from the last whole checkpoint of
    an earlier attempt. Samples are shuffled by the seed.

    Returns:
        The summary: steps, losses, speed, the last and best held-out score, and what was left where.

    Raises:
        JobError: the spec, the data or the model cannot be used, or the training has diverged.
    """
    plan, data = training_plan(job.spec), job.spec["data"]
    if data is None:
        raise JobError("a fine-tune needs data", "give --data FILE.jsonl")
    prepare_reporting(job, plan)
    set_seed(plan.seed)
    check_unchanged(data)
    samples = read_samples(
        data["path"], data.get("image_root"), data.get("limit"), plan.seed, sampling=data.get("sampling")
    )
    held_out = _held_out_samples(plan)
    checkpoint = last_whole_checkpoint(job.dir / "checkpoints")
    training = record_training(job, samples)
    chosen = readable(job, samples, training.images.failed, going_on=checkpoint is not None)
    shared = held_out_overlap(job, training, held_out, plan.eval_data or {}) if held_out else Trained()
    prepared = prepare(job, plan)
    if plan.max_pixels:
        limit_pixels(prepared.model.processor, plan.max_pixels, job.events.message)
    session = _Session(job, plan, prepared, chosen, checkpoint)
    session.hold_out(held_out, shared)
    return session.run()


class _Session:
    """One attempt at the training: its data, its Trainer, what it keeps and says."""

    def __init__(
        self, job: Job, plan: TrainingPlan, prepared: Prepared, chosen: Chosen, checkpoint: Path | None
    ) -> None:
        self.job, self.plan, self.prepared, self.checkpoint = job, plan, prepared, checkpoint
        self.chosen, self.counted = self._counted(chosen)
        self.total = plan.total_steps(len(self.chosen.samples))
        self.collate = Collate(prepared.model.prompts.tokenizer.pad_token_id)
        self.held_out: HeldOut | None = None
        self.best = Best(job, prepared)
        self.bad: set[str] = set()

    def hold_out(self, samples: list[Sample], shared: Trained) -> None:
        """Score these while it trains."""
        if samples:
            step = int(self.checkpoint.name.rpartition("-")[2]) if self.checkpoint else 0
            self.held_out = HeldOut(self.job, self.prepared.model, samples, shared, step)

    def run(self) -> dict[str, Any]:
        job, model = self.job, self.prepared.model
        every = self.plan.eval_every or max(1, self.total // EVALUATIONS)
        events = EventCallback(job, self.collate, self._score if self.held_out else None, every)
        trainer = ResumingTrainer(
            model=model.model,
            args=arguments(job, self.plan, model, self.total),
            train_dataset=EncodedSamples(self.chosen.samples, self.encoder, on_bad=self._bad_image),
            data_collator=self.collate,
            callbacks=[events],
        )
        trainer.in_order = not self.plan.shuffle
        trainer.remove_callback(PrinterCallback)
        job.events.started(
            device=model.device, versions=versions(), total=self.total, unit="steps", **how_loaded(model)
        )
        job.events.message("info", self.counted.words())
        summary = self._train(trainer) | self._facts(events)
        # Before the weights: their card tells these scores.
        write_json(
            job.dir / "scores.json", {"scores": self.held_out.final() if self.held_out else [], "finished": True}
        )
        left = save(
            job, self.prepared, self.prepared.left, {**summary, self.prepared.left: str(job.dir / self.prepared.left)}
        )
        summary[left.name] = str(left)
        best = self.best.settle(self.held_out.last if self.held_out else None)
        if not events.stopped:
            shutil.rmtree(job.dir / "checkpoints", ignore_errors=True)
        return summary | ({"best_weights": str(best)} if best else {})

    def _counted(self, chosen: Chosen) -> tuple[Chosen, Counted]:
        model = self.prepared.model
        self.encoder = Encoder(model.prompts, end_tokens(model.model, model.prompts.tokenizer))
        dataset = EncodedSamples(chosen.samples, self.encoder, cache_bytes=0)
        counted = count_tokens(self.encoder, dataset, all_of_them=self.plan.max_length is not None)
        kept = short_enough(self.job, chosen, counted, self.plan.max_length)
        return kept, counted.only(chosen.samples, kept.samples)

    def _score(self, step: int, last: bool) -> bool:
        """True where early stopping wants no more."""
        assert self.held_out is not None
        self.best.offer(self.held_out(step), last=last)
        patience = self.plan.early_stopping
        if patience is None or self.held_out.without_gain < patience:
            return False
        best: Scored | None = self.held_out.best
        assert best is not None
        self.job.events.message("info", f"stopped early: {patience} scores without gain; the best was {best.words()}")
        return True

    def _bad_image(self, sample: Sample, error: UnreadableImage) -> None:
        """An image that could be read when the training began."""
        if sample.image_path not in self.bad:
            self.bad.add(sample.image_path)
            self.job.events.message("warning", f"{error}: its samples are passed over from here on")
        images = len({one.image_path for one in self.chosen.samples})
        if len(self.bad) > max(1, TOO_MANY * images):
            raise error

    def _train(self, trainer: Trainer) -> dict[str, Any]:
        """Train from the start or from the last whole checkpoint."""
        if self.checkpoint:
            self.job.events.message("info", f"goes on from {self.checkpoint.name}")
        result = trainer.train(resume_from_checkpoint=str(self.checkpoint) if self.checkpoint else None)
        model: Any = trainer.model
        parameters = list(model.parameters())
        return {
            "steps": trainer.state.global_step,
            "parameters": sum(parameter.numel() for parameter in parameters),
            "trained_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
            "train_loss": mean_loss(trainer.state.log_history),
            "seconds": round(result.metrics["train_runtime"], 3),
        }

    def _facts(self, events: EventCallback) -> dict[str, Any]:
        last = self.held_out.last if self.held_out else None
        best = self.best.scored
        return {
            "method": self.prepared.method,
            "stopped": events.stopped,
            **({"stopped_early": True} if events.early else {}),
            "samples": len(self.chosen.samples),
            **self.chosen.facts(),
            **({"images_lost": len(self.bad)} if self.bad else {}),
            "batch_size": self.plan.batch_size,
            "accumulation": self.plan.accumulation,
            "tokens_an_epoch": self.counted.tokens,
            "loss_tokens_an_epoch": self.counted.loss_tokens,
            "eval_exact": last.values.get("exact") if last else None,
            **({"eval": facts(last)} if last else {}),
            **({"best": facts(best)} if best else {}),
        }


def _held_out_samples(plan: TrainingPlan) -> list[Sample]:
    data = plan.eval_data
    if data is None:
        return []
    check_unchanged(data)
    return read_samples(data["path"], data.get("image_root"), data.get("limit") or plan.eval_limit, plan.seed)
