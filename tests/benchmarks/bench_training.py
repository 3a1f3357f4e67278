"""Steps a second of a fine-tune under us, against the same training without us: TRL's SFTTrainer and a bare Trainer.

The tiny model with random weights, on the CPU, one thread, the same LoRA, batch, steps, optimiser and data. Measured in
turns within one run, each time a training of its own, by the processor's clock, as other programs may run beside it; a
ratio is the median of its rounds. `ours` is the whole job:
its events, its curves, its log at every step; the time is that of the Trainer's steps, without loading. Against:

- a bare transformers Trainer on samples that were encoded before (nothing but the steps), and on ours;
- TRL's SFTTrainer, whose collator reads and encodes the images of each batch anew, as it does for everybody;
- the same, its samples encoded before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # as a worker has it
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import backends  # noqa: F401 - first: it makes torchvision load beside a torch for CPUs

# isort: split
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

from backends.data.sample import Sample
from backends.jobs.events import EventWriter
from backends.jobs.job import Job
from backends.models.base import question_messages
from backends.models.prompts import PromptFormat, end_tokens
from backends.models.tiny import build_tiny
from backends.work import finetune as job_of
from backends.work.common import read_samples
from backends.work.encoding import Collate, EncodedSamples, Encoder
from backends.work.phantoms import answers_corpus, make_phantoms
from db.home import Home

ROUNDS = 5
WARM = 5
"""Steps before the clock starts."""
LORA: dict[str, Any] = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": "all-linear"}


class Clock(TrainerCallback):
    """Processor seconds (there is one thread) from the end of step :data:`WARM` to the end of the last."""

    def __init__(self) -> None:
        self.begin = self.end = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == WARM:
            self.begin = time.process_time()
        self.end = time.process_time()


def settings(folder: Path, steps: int, batch: int, made: Callable[..., Any] = TrainingArguments, **more: Any) -> Any:
    return made(
        output_dir=str(folder),
        per_device_train_batch_size=batch,
        max_steps=steps,
        learning_rate=2e-4,
        lr_scheduler_type="cosine",
        warmup_steps=2,
        weight_decay=0.01,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=0,
        data_seed=0,
        **more,
    )


def with_lora(folder: Path) -> Any:
    torch.manual_seed(0)
    model: Any = AutoModelForImageTextToText.from_pretrained(folder)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **LORA))


def bare(folder: Path, samples: list[Sample], steps: int, batch: int, place: Path) -> Callable[[], float]:
    processor: Any = AutoProcessor.from_pretrained(folder)

    def run() -> float:
        model = with_lora(folder)
        encoder = Encoder(PromptFormat(processor), end_tokens(model, processor.tokenizer))
        dataset = EncodedSamples(samples, encoder)
        dataset.__getitems__(range(len(samples)))
        return timed(Trainer, model, settings(place, steps, batch), dataset, Collate(processor.tokenizer.pad_token_id))

    return run


def of_trl(
    folder: Path, samples: list[Sample], steps: int, batch: int, place: Path, *, ready: bool
) -> Callable[[], float]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    processor: Any = AutoProcessor.from_pretrained(folder)
    collator = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    rows = [{"number": number} for number in range(len(samples))]
    kept: dict[tuple[int, ...], Any] = {}

    def collate(batch_of: list[dict[str, int]]) -> Any:
        numbers = tuple(row["number"] for row in batch_of)
        if ready and numbers in kept:
            return {name: tensor.clone() for name, tensor in kept[numbers].items()}
        kept[numbers] = collator([_as_trl(samples[number]) for number in numbers])
        return kept[numbers]

    def run() -> float:
        made = settings(place, steps, batch, SFTConfig, dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)
        options = {"processing_class": processor}
        return timed(SFTTrainer, with_lora(folder), made, Dataset.from_list(rows), collate, **options)

    if ready:
        quietly(run)  # the same order each time: what is met in the first round is there in the others
    return run


def _as_trl(sample: Sample) -> dict[str, Any]:
    prompt = [dict(message) for message in question_messages(sample.question, sample.system)]
    completion = [{"role": "assistant", "content": [{"type": "text", "text": sample.reference}]}]
    return {"prompt": prompt, "completion": completion, "images": [Image.open(sample.image_file).convert("RGB")]}


def timed(kind: Any, model: Any, made: Any, dataset: Any, collate: Any, **options: Any) -> float:
    clock = Clock()
    trainer = kind(model=model, args=made, train_dataset=dataset, data_collator=collate, callbacks=[clock], **options)
    trainer.train()
    return clock.end - clock.begin


def ours(folder: Path, data: dict[str, Any], steps: int, batch: int, home: Home) -> Callable[[], float]:
    """The job as a worker runs it, with a log at every step as the others have; a clock is put beside its own callback."""
    numbers = iter(range(1, 1_000))

    def run() -> float:
        number = next(numbers)
        home.run_dir(number).mkdir()
        lora = {"r": LORA["r"], "alpha": LORA["lora_alpha"], "dropout": 0.0, "target_modules": "all-linear"}
        training = {"method": "peft", "max_steps": steps, "batch_size": batch, "lora": lora, "save_every": steps}
        spec = {
            "kind": "finetune",
            "model": {"name": "tiny", "source": str(folder), "revision": None, "from_run": None},
            "data": data,
            "training": training,
            "threads": 1,
            "device": "cpu",
        }
        clock = Clock()
        real = job_of.ResumingTrainer

        def with_clock(**given: Any) -> Trainer:
            given["args"].logging_steps = 1
            return real(**{**given, "callbacks": [*given["callbacks"], clock]})

        job_of.ResumingTrainer = with_clock  # type: ignore[assignment,misc]
        try:
            job_of.finetune(Job(home, number, 1, spec, EventWriter(home.run_dir(number) / "events.jsonl")))
        finally:
            job_of.ResumingTrainer = real  # type: ignore[misc]
        return clock.end - clock.begin

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=65)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = make_phantoms(place / "data", train=wanted.images, val=1, test=1, seed=0)
        folder = build_tiny(place / "tiny", answers_corpus(), seed=0)
        samples = read_samples(str(made["train"]), str(made["images"]), None, 0)
        data = {"path": str(made["train"]), "image_root": str(made["images"]), "limit": None}
        given = (folder, samples, wanted.steps, wanted.batch, place / "out")
        ways: dict[str, Callable[[], float]] = {
            "ours": ours(folder, data, wanted.steps, wanted.batch, Home(place / "home").ensure()),
            "a bare transformers Trainer, samples encoded before": bare(*given),
        }
        if find_spec("trl"):
            ways["TRL's SFTTrainer"] = of_trl(*given, ready=False)
            ways["TRL's SFTTrainer, batches encoded before"] = of_trl(*given, ready=True)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(wanted.rounds):
            for name, way in ways.items():
                seconds[name].append(quietly(way))
    report(seconds, wanted.steps - WARM)


def quietly(way: Callable[[], float]) -> float:
    """The figure of a training. What the trainers print at each step is made as ever, and shown to nobody."""
    with Path(os.devnull).open("w") as nobody, redirect_stdout(nobody):
        return way()


def report(seconds: dict[str, list[float]], steps: int) -> None:
    for name in [name for name in seconds if name != "ours"]:
        ratios = [theirs / own for theirs, own in zip(seconds[name], seconds["ours"], strict=True)]
        line = {
            "figure": "training steps a processor second",
            "value": round(steps / min(seconds["ours"]), 2),
            "unit": "1/s",
            "against": name,
            "ratio": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "steps": steps,
            "rounds": len(seconds[name]),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
