"""What a job of a spec will take of the memory that counts here: the one number that is shown and reserved."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.estimate.memory import Estimate, estimate
from backends.estimate.recorded import GROWTH, Corrected, Seen, corrected, find_seen, observations


@dataclass(frozen=True)
class Foreseen:
    """``estimate`` is from the configuration alone; the others are what this machine's own runs say."""

    memory: str
    """``VRAM``, or ``RAM`` where there is no card."""
    estimate: Estimate
    corrected: Corrected | None = None
    """By runs that are like it in some way."""
    seen: Seen | None = None
    """By runs that did the very same."""

    @property
    def interval(self) -> tuple[int, int, int]:
        """Low, likely, high in bytes. The high end is what is reserved."""
        if self.seen:
            return int(self.seen.bytes / GROWTH), self.seen.bytes, int(self.seen.bytes * GROWTH)
        if self.corrected:
            return self.corrected.low, self.corrected.likely, self.corrected.high
        return self.estimate.interval(self.memory == "VRAM")

    @property
    def run(self) -> int | None:
        """The earlier run that says most."""
        return self.seen.run if self.seen else self.corrected.runs[0] if self.corrected else None

    @property
    def source(self) -> str:
        """Where the numbers come from: ``seen in #12``, ``estimated, corrected by #3``, ``estimated``."""
        if self.seen:
            return f"seen in #{self.seen.run}"
        return f"estimated, corrected by #{self.corrected.runs[0]}" if self.corrected else "estimated"


def foresee(
    spec: Mapping[str, Any], memory: str, runs: sqlite3.Connection | None, user_catalog: Path | None = None
) -> Foreseen:
    """For a spec, or the parts of one that :func:`backends.estimate.memory.estimate` looks at.

    Args:
        runs: runs.db; None leaves out what was seen.
    """
    on_card = memory == "VRAM"
    plain = estimate(spec, cuda=on_card, user_catalog=user_catalog)
    if runs is None:
        return Foreseen(memory, plain)
    better = corrected(plain, on_card, observations(runs, spec, memory)) if _has_model(spec) else None
    return Foreseen(memory, plain, better, find_seen(runs, spec, memory))


def _has_model(spec: Mapping[str, Any]) -> bool:
    model = spec.get("model") or {}
    return bool(model) and model.get("loader") != "openai"
