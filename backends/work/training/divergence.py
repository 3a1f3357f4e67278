"""A training that has gone wrong, told from its losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.jobs.job import JobError

IN_A_ROW = 3
"""So many losses beyond the limit end it: one alone may be a bad batch."""


def limit(start: float) -> float:
    """The loss beyond which a training that began at ``start`` is worse than it ever was: answers are guessed."""
    return 2 * start + 3.0


class Divergence:
    """Looks at each logged loss. What it finds ends the training with a sentence.

    Args:
        checkpoint: Names the last good checkpoint, for that sentence.
    """

    def __init__(self, checkpoint: Callable[[], str | None]) -> None:
        self._checkpoint = checkpoint
        self._start: float | None = None
        self._high = 0

    def go_on(self, log_history: Sequence[Mapping[str, Any]]) -> None:
        """The first loss of a training that is resumed."""
        self._start = next((float(entry["loss"]) for entry in log_history if "loss" in entry), None)

    def look(self, logs: Mapping[str, Any], step: int, learning_rate: float) -> bool:
        """True where the state is too bad to be kept.

        Raises:
            JobError: Loss or gradient is no number any more, or the loss has stayed far above its start.
        """
        for name in ("loss", "grad_norm"):
            if name in logs and not math.isfinite(float(logs[name])):
                raise self._error(f"{name} became {logs[name]} at step {step}", learning_rate)
        loss = float(logs["loss"])
        if self._start is None:
            self._start = loss
        if loss <= limit(self._start):
            self._high = 0
            return False
        self._high += 1
        if self._high >= IN_A_ROW:
            raise self._error(f"loss has risen from {self._start:.2f} to {loss:.2f} at step {step}", learning_rate)
        return True

    def _error(self, what: str, learning_rate: float) -> JobError:
        kept = self._checkpoint()
        return JobError(
            f"{what}: the training has diverged" + (f"; {kept} is the last good checkpoint" if kept else ""),
            f"lower the learning rate: it was {learning_rate:g}, try --set learning_rate={learning_rate / 5:.1g}; "
            "else look for broken references in the data",
        )
