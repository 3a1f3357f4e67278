"""What the queries on runs.db return: frozen dataclasses, safe to hand to another thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from db.runs.states import ACTIVE_STATES, END_STATES, WAITING_STATES


def model_label(model: str, from_run: int | None) -> str:
    """``Qwen2-VL-2B ← #3`` for what run 3 left."""
    return model if from_run is None else f"{model} ← #{from_run}"


@dataclass(frozen=True)
class Run:
    """One job as the queue and the history show it. Times are Unix seconds, memory is bytes."""

    id: int
    kind: str
    task: str | None
    model: str
    state: str
    reason: str | None
    exit_code: int | None
    signal: int | None
    attempt: int
    created: float
    started: float | None
    ended: float | None
    done: int | None
    total: int | None
    unit: str | None
    phase: str | None
    rate: float | None
    """Units a second over the recent past, from the event times."""
    after: tuple[int, ...]
    reserved_bytes: int | None
    peak_bytes: int | None
    run_dir: str
    fingerprint: str | None
    position: float
    """Order in the queue: lower goes first."""
    from_run: int | None = None
    """The fine-tune whose adapter or model it evaluates."""
    tags: tuple[str, ...] = ()
    note: str = ""
    archived: bool = False
    engine: str | None = None
    """The name of the engine that runs it; None: this machine."""
    export: str | None = None
    """Of an export what it is made into: ``merged``, ``gguf q4_k_m``."""

    @property
    def label(self) -> str:
        """The model as people must see it: a tuned one never looks like its base."""
        return model_label(self.model, self.from_run)

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_STATES

    @property
    def is_waiting(self) -> bool:
        return self.state in WAITING_STATES

    @property
    def is_over(self) -> bool:
        return self.state in END_STATES

    @property
    def fraction(self) -> float | None:
        """0..1, or None where the total is not known."""
        if self.done is None or not self.total:
            return None
        return min(1.0, self.done / self.total)

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the present rate, or None."""
        if self.state != "running" or not self.rate or self.done is None or not self.total:
            return None
        return max(0.0, (self.total - self.done) / self.rate)


@dataclass(frozen=True)
class MetricPoint:
    """One value of a curve, for instance ``loss`` at a step; of a long curve the mean of a stretch of steps."""

    name: str
    step: int
    value: float
    time: float
    low: float | None = None
    """The least and the greatest of what ``value`` is the mean of."""
    high: float | None = None


@dataclass(frozen=True)
class MetricSummary:
    """``last`` is the value at the highest step."""

    name: str
    last: float
    count: int
    min: float
    max: float


@dataclass(frozen=True)
class Message:
    time: float
    level: str
    text: str


@dataclass(frozen=True)
class Prediction:
    """One answer beside its reference; ``error`` is set instead of an answer that could not be made."""

    id: str
    image_path: str
    category: str | None
    question: str
    prediction: str | None
    reference: str | None
    """None where an answer was brought in and nobody knows what is right."""
    latency_s: float | None
    output_tokens: int | None
    error: str | None


@dataclass(frozen=True)
class Alarm:
    """``kind``: collapse, coverage, duplicate, fingerprint, contamination or composition."""

    kind: str
    question: str | None
    text: str


@dataclass(frozen=True)
class Score:
    """A score and what it takes to believe it. Values are on 0..1 (cosine -1..1); ``n`` counts what was asked."""

    run: int | None
    model: str
    kind: str
    metric: str
    question: str | None
    category: str | None
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int
    answered: int
    failed: int
    source: str
    floors: dict[str, float] = field(default_factory=dict)
    references: dict[str, float] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    fingerprint: str | None = None
    partial: bool = False
    """True while the run still grows it."""
    step: int | None = None
    """Where it was made during training (held-out score at a step)."""
    from_run: int | None = None
    """The fine-tune whose adapter or model was evaluated."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What the row was stored with besides (gain, macro, sensitivity, …), where that was asked for."""
    empty: int = 0
    """Answered with nothing; counts as wrong, as what failed does."""
    unparseable: int = 0
    """Answered with what the metric cannot read; counts as wrong unless the metric says otherwise."""

    @property
    def label(self) -> str:
        return model_label(self.model, self.from_run)

    @property
    def of(self) -> str:
        """The question, the category or both that it is of; empty for a score over everything."""
        return " ".join(part for part in (self.question, self.category) if part)

    @property
    def floor(self) -> float | None:
        """The highest."""
        return max(self.floors.values(), default=None)

    @property
    def gain(self) -> float | None:
        """Over the highest floor."""
        return None if self.floor is None else self.value - self.floor

    @property
    def alarm_words(self) -> str:
        """``⚠ collapse ×3 ⚠ coverage``: the kinds, with how often each was raised."""
        kinds: dict[str, int] = {}
        for alarm in self.alarms:
            kinds[alarm.kind] = kinds.get(alarm.kind, 0) + 1
        return " ".join(f"⚠ {kind}" + (f" ×{times}" if times > 1 else "") for kind, times in kinds.items())

    @property
    def unanswered(self) -> tuple[str, ...]:
        """``12 failed``, ``3 empty``, ``5 unparseable``: what is wrong of ``n`` before anything was judged."""
        counts = {"failed": self.failed, "empty": self.empty, "unparseable": self.unparseable}
        return tuple(f"{number:,} {word}" for word, number in counts.items() if number)


@dataclass(frozen=True)
class RunDetail:
    """Everything of one run that fits in memory whatever its length."""

    run: Run
    spec: dict[str, Any]
    metrics: dict[str, MetricSummary]
    messages: tuple[Message, ...]
