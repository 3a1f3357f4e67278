"""The question that people ask: would this model fit, this way, on that card? From names to a frozen answer."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends.estimate.foresee import Foreseen, foresee
from backends.estimate.memory import Estimate
from backends.estimate.recorded import Corrected, Seen
from backends.telemetry.sample import Gpu

METHODS = ("peft", "unsloth", "full")
PRECISIONS = ("4bit", "8bit", "bf16", "fp32")
CARDS = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141, 180)
"""Gigabytes of cards that are sold."""
GIB = 1 << 30
QUANTISATION = {"8bit": "bitsandbytes int8", "4bit": "bitsandbytes nf4"}
"""Precision to the spec's word for it, as far as they differ."""
GENERATING = 32
"""Batch of the answers that are scored while a model trains."""


@dataclass(frozen=True)
class Question:
    """``method`` is empty for an evaluation; ``precision`` is empty for what the loader takes by itself.

    Fields that are not known are left as they are: ``samples`` and ``image_sizes`` of data that are not named yet.
    """

    source: str
    name: str
    method: str = ""
    precision: str = ""
    batch: int = 1
    image_size: tuple[int, int] | None = None
    text_tokens: int | None = None
    rank: int = 16
    loader: str = "transformers"
    content: str | None = None
    """Hash of a checkpoint folder, as a spec has it: runs of the same are the same model wherever it lies."""
    task: str | None = None
    """Of an evaluation."""
    tuned: bool = False
    """What a fine-tune left is evaluated."""
    samples: int | None = None
    held_out: int = 0
    """Questions asked while it trains."""
    image_sizes: tuple[tuple[int, int, int], ...] = ()
    """Width, height and count, as :class:`backends.data.validate.DataReport` has them."""
    new_tokens: int = 64
    targets: str = "both"
    max_pixels: int | None = None
    max_length: int | None = None
    embedded: bool = False
    """Answers are scored with the sentence-embedding model."""

    def spec(self) -> dict[str, Any]:
        """The parts of a spec that decide its memory."""
        parts: dict[str, Any] = {"kind": "finetune" if self.method else "eval", "task": self.task, "device": "auto"}
        parts["model"] = {
            "source": self.source,
            "name": self.name,
            "loader": self.loader,
            "content": self.content,
            "precision": self.precision or None,
            "quantisation": QUANTISATION.get(self.precision, self.precision) or None,
            "from_run": 0 if self.tuned else None,
        }
        generation = {"batch_size": GENERATING if self.method else self.batch, "max_new_tokens": self.new_tokens}
        sizes = [list(size) for size in self.image_sizes]
        parts |= {"generation": generation, "data": {"samples": self.samples, "image_sizes": sizes}}
        parts["scoring"] = {"embedding": self.embedded} if not self.method else None
        if self.method:
            parts["training"] = {
                "method": self.method,
                "batch_size": self.batch,
                "lora": {"r": self.rank, "targets": self.targets},
                "max_pixels": self.max_pixels,
                "max_length": self.max_length,
                "eval_data": {"samples": self.held_out} if self.held_out else None,
            }
        return parts | {"image_size": self.image_size, "text_tokens": self.text_tokens}


@dataclass(frozen=True)
class Answer:
    """The static estimate, what this machine's own runs make of it, and the card."""

    estimate: Estimate
    corrected: Corrected | None
    card_bytes: int | None
    """The largest card's memory; None where there is none."""
    seen: Seen | None = None

    @property
    def foreseen(self) -> Foreseen:
        return Foreseen("VRAM", self.estimate, self.corrected, self.seen)

    @property
    def interval(self) -> tuple[int, int, int]:
        """Low, likely, high, in bytes of the card; the high end is what a run reserves of it."""
        return self.foreseen.interval

    @property
    def run(self) -> int | None:
        """The earlier run that says most."""
        return self.foreseen.run

    @property
    def verdict(self) -> str:
        """``fits``, ``tight``, ``too large``, or ``no card``."""
        if self.card_bytes is None:
            return "no card"
        low, _likely, high = self.interval
        return "fits" if high <= self.card_bytes else "tight" if low <= self.card_bytes else "too large"

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        low, likely, high = self.interval
        needs = next((size for size in CARDS if size * GIB >= high), None)
        article = "an" if str(needs).startswith("8") else "a"
        card = f"{article} {needs} GB card holds it" if needs else "no single card holds it"
        here = "" if self.card_bytes is None else f"{self.card_bytes / GIB:.1f} GiB here"
        return {
            "no card": f"no card here; {card}",
            "fits": f"fits: {here}",
            "tight": f"may not fit: {here}, likely {likely / GIB:.1f}, at most {high / GIB:.1f}; {card}",
            "too large": f"does not fit: {here}, at least {low / GIB:.1f}; {card}",
        }[self.verdict]


def ask(
    question: Question,
    runs: sqlite3.Connection | None = None,
    card_bytes: int | None = None,
    user_catalog: Path | None = None,
) -> Answer:
    """What it would take on a card, whether or not there is one.

    Args:
        runs: runs.db, to correct the estimate by what was seen; None leaves it as it is.
    """
    found = foresee(question.spec(), "VRAM", runs, user_catalog)
    return Answer(found.estimate, found.corrected, card_bytes, found.seen)


def usual(source: str, name: str, loader: str = "transformers") -> tuple[tuple[str, Question], ...]:
    """What is most often asked of a model, in words and as questions: the defaults of this program's jobs."""
    if loader == "environment":  # asked one question at a time, and trained by its makers' own code alone
        one = Question(source, name, loader=loader, task="gt", embedded=True)
        return (
            ("evaluate, 16 bits, one by one", one),
            ("evaluate, 4 bits, one by one", replace(one, precision="4bit")),
        )
    return (
        ("evaluate, 16 bits, batch 32", Question(source, name, batch=32, task="gt", embedded=True)),
        ("evaluate, 4 bits, batch 1", Question(source, name, precision="4bit", task="gt", embedded=True)),
        ("fine-tune, LoRA in 16 bits, batch 8", Question(source, name, "peft", batch=8, targets="language")),
        (
            "fine-tune, Unsloth in 4 bits, batch 2",
            Question(source, name, "unsloth", "4bit", batch=2, targets="language"),
        ),
    )


def card_memory(gpus: Iterable[Gpu]) -> int | None:
    """Bytes of the largest of a telemetry sample's cards."""
    return max((gpu.memory_total for gpu in gpus if gpu.memory_total), default=None)


def parse_image_size(text: str) -> tuple[int, int]:
    """``1024x768`` as (1024, 768); one number is a square.

    Raises:
        ValueError: It is neither, or out of reason.
    """
    match = re.fullmatch(r"\s*(\d+)\s*(?:[xX×]\s*(\d+))?\s*", text)
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(1 <= one <= 20_000 for one in size):
        raise ValueError(f"{text!r} is no image size: write WIDTHxHEIGHT in pixels, for instance 1024x768")
    return size
