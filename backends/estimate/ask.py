"""The question that people ask: would this model fit, this way, on that card? From names to a frozen answer."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.estimate.memory import Estimate, estimate
from backends.estimate.recorded import Corrected, corrected, observations
from backends.telemetry.sample import Gpu

METHODS = ("peft", "unsloth", "full")
PRECISIONS = ("4bit", "8bit", "bf16", "fp32")
CARDS = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141, 180)
"""Gigabytes of cards that are sold."""
GIB = 1 << 30


@dataclass(frozen=True)
class Question:
    """``method`` is empty for an evaluation; ``precision`` is empty for what the loader takes by itself."""

    source: str
    name: str
    method: str = ""
    precision: str = ""
    batch: int = 1
    image_size: tuple[int, int] | None = None
    text_tokens: int | None = None
    rank: int = 16

    def spec(self) -> dict[str, Any]:
        """The parts of a spec that decide its memory."""
        model = {"source": self.source, "name": self.name, "precision": self.precision or None}
        parts: dict[str, Any] = {"kind": "finetune" if self.method else "eval", "model": model}
        if self.method:
            parts["training"] = {"method": self.method, "batch_size": self.batch, "lora": {"r": self.rank}}
        else:
            parts["generation"] = {"batch_size": self.batch, "max_new_tokens": 64}
        return parts | {"image_size": self.image_size, "text_tokens": self.text_tokens}


@dataclass(frozen=True)
class Answer:
    """The static estimate, what this machine's own runs make of it, and the card."""

    estimate: Estimate
    corrected: Corrected | None
    card_bytes: int | None
    """The largest card's memory; None where there is none."""

    @property
    def interval(self) -> tuple[int, int, int]:
        """Low, likely, high, in bytes of the card."""
        if self.corrected:
            return self.corrected.low, self.corrected.likely, self.corrected.high
        return self.estimate.interval(True)

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
        card = f"a {needs} GB card holds it" if needs else "no single card holds it"
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
    spec = question.spec()
    found = estimate(spec, cuda=True, user_catalog=user_catalog)
    seen = observations(runs, spec, "VRAM") if runs is not None else []
    return Answer(found, corrected(found, True, seen), card_bytes)


def usual(source: str, name: str) -> tuple[tuple[str, Question], ...]:
    """What is most often asked of a model, in words and as questions: the defaults of this program's jobs."""
    return (
        ("evaluate, 16 bits, batch 32", Question(source, name, batch=32)),
        ("evaluate, 4 bits, batch 1", Question(source, name, precision="4bit")),
        ("fine-tune, LoRA in 16 bits, batch 8", Question(source, name, "peft", batch=8)),
        ("fine-tune, Unsloth in 4 bits, batch 2", Question(source, name, "unsloth", batch=2)),
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
