"""One answer beside its reference: what every metric is computed from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """``prediction`` is None where there is no answer; ``error`` then says why."""

    id: str
    image_path: str
    category: str | None
    topic: str
    reference: str
    prediction: str | None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Asked and not answered: counts as wrong in every metric."""
        return self.error is not None or self.prediction is None

    @property
    def empty(self) -> bool:
        """Answered with nothing but white space: counts as wrong in every metric."""
        return not self.failed and not (self.prediction or "").strip()
