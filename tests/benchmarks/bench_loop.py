"""Samples a second of the evaluation loop, against the same model asked in other ways; greedy, answers compared.

The model is the tiny one with random weights, on the CPU; a background card changes nothing. Against: a plain loop that
opens an image, calls `generate` and decodes the answer, one question after the other, as most evaluation scripts do;
the transformers pipeline in batches of the same size; TRL's batched generation (of its GRPO trainer) where installed.
Each figure is the best of its rounds, taken in turns. `--images`, `--batch`, `--tokens`, `--side` (pixels).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # as a worker has it
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import backends  # noqa: F401 - first: it makes torchvision load beside a torch for CPUs

# isort: split
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline
from transformers.utils import logging

from backends.data.sample import Sample
from backends.models.base import Generation, question_messages
from backends.models.tiny import build_tiny
from backends.models.transformers_loader import load
from backends.work.asking import Asker
from backends.work.common import read_samples
from backends.work.phantoms import answers_corpus, make_phantoms
from backends.work.predictions import Predictions

ROUNDS = 3
Answers = dict[str, str]


def plain(folder: Path, samples: list[Sample], tokens: int) -> Callable[[], Answers]:
    model: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor: Any = AutoProcessor.from_pretrained(folder)

    def run() -> Answers:
        answers = {}
        for sample in samples:
            messages = list(question_messages(sample.question, sample.system))
            text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            image = Image.open(sample.image_file).convert("RGB")
            inputs = processor(images=image, text=text, return_tensors="pt", add_special_tokens=False)
            with torch.inference_mode():
                made = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
            new = made[0, inputs["input_ids"].shape[1] :]
            answers[sample.id] = processor.decode(new, skip_special_tokens=True).strip()
        return answers

    return run


def piped(folder: Path, samples: list[Sample], tokens: int, batch: int) -> Callable[[], Answers]:
    processor: Any = AutoProcessor.from_pretrained(folder)
    pipe: Any = pipeline("image-text-to-text", str(folder), processor=processor, batch_size=batch)

    def run() -> Answers:
        asked = [_with_image(sample) for sample in samples]
        outputs = pipe(text=asked, max_new_tokens=tokens, do_sample=False, return_full_text=False)
        texts = (one[0] if isinstance(one, list) else one for one in outputs)
        return {sample.id: one["generated_text"].strip() for sample, one in zip(samples, texts, strict=True)}

    return run


def of_trl(folder: Path, samples: list[Sample], tokens: int, batch: int, where: Path) -> Callable[[], Answers]:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    processor: Any = AutoProcessor.from_pretrained(folder)
    greedy = {"do_sample": False, "temperature": 1.0, "top_k": 0}
    settings = GRPOConfig(
        output_dir=str(where),
        per_device_train_batch_size=batch,
        num_generations=2,
        max_completion_length=tokens,
        generation_kwargs=greedy,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
    )
    trainer: Any = GRPOTrainer(
        AutoModelForImageTextToText.from_pretrained(folder),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "?"}]}] * batch),
        processing_class=processor,
    )
    trainer.model.eval()

    def run() -> Answers:
        answers = {}
        for start in range(0, len(samples), batch):
            part = samples[start : start + batch]
            ids, images, fields = trainer._tokenize_prompts([_with_image(sample) for sample in part])
            made, _ = trainer._generate_single_turn(ids, images, fields, 1)
            texts = processor.batch_decode(made, skip_special_tokens=True)
            answers |= {sample.id: text.strip() for sample, text in zip(part, texts, strict=True)}
        return answers

    return run


def _with_image(sample: Sample) -> list[Any]:
    messages: list[Any] = [
        {**message, "content": [dict(item) for item in message["content"]]}
        for message in question_messages(sample.question, sample.system)
    ]
    messages[-1]["content"][0]["image"] = Image.open(sample.image_file).convert("RGB")
    return messages


def ours(folder: Path, samples: list[Sample], tokens: int, batch: int, where: Path) -> Callable[[], Answers]:
    model = load(folder, device="cpu", generation=Generation(tokens))

    def run() -> Answers:
        for name in ("predictions.jsonl", "batches.json"):
            (where / name).unlink(missing_ok=True)
        kept = Predictions(where / "predictions.jsonl")
        for results in Asker(model, batch, remember=where / "batches.json").run(samples):
            for asked in results:
                assert asked.reply is not None
                kept.add(asked.sample, prediction=asked.reply.text, output_tokens=asked.reply.output_tokens)
        kept.close()
        return {one: answer.prediction or "" for one, answer in kept.answers.items()}

    return run


def best(ways: dict[str, Callable[[], Answers]]) -> tuple[dict[str, float], dict[str, Answers]]:
    seconds, answers = dict.fromkeys(ways, float("inf")), {}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            begin = time.perf_counter()
            answers[name] = run()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return seconds, answers


def enlarge(samples: list[Sample], folder: Path, side: int) -> list[Sample]:
    """The same questions on images of ``side`` pixels: the phantoms are smaller than what a scanner stores."""
    made = {}
    for sample in samples:
        if sample.image_path not in made:
            made[sample.image_path] = folder / f"{len(made)}.png"
            with Image.open(sample.image_file) as image:
                image.resize((side, side)).save(made[sample.image_path])
    return [replace(sample, image_file=made[sample.image_path]) for sample in samples]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--side", type=int, default=600)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = make_phantoms(place / "data", train=1, val=1, test=wanted.images, seed=0)
        folder = build_tiny(place / "tiny", answers_corpus(), seed=0)
        samples = enlarge(read_samples(str(made["test"]), str(made["images"]), None, 0), place, wanted.side)
        loop = f"the loop, batches of {wanted.batch}"
        ways = {
            "plain generate loop": plain(folder, samples, wanted.tokens),
            "transformers pipeline": piped(folder, samples, wanted.tokens, wanted.batch),
            loop: ours(folder, samples, wanted.tokens, wanted.batch, place),
        }
        if find_spec("trl"):
            ways["TRL's batched generation"] = of_trl(folder, samples, wanted.tokens, wanted.batch, place)
        seconds, answers = best(ways)
    for name in ways:
        if name != loop:
            line = {
                "figure": f"samples a second of {loop}",
                "value": round(len(samples) / seconds[loop], 1),
                "unit": "1/s",
                "against": name,
                "ratio": round(seconds[name] / seconds[loop], 2),
                "same_answers": sum(answers[name][one] == text for one, text in answers[loop].items()) / len(samples),
                "samples": len(samples),
            }
            print(json.dumps(line))


if __name__ == "__main__":
    main()
