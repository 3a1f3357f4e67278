"""What a leaderboard is made of: frozen dataclasses, safe to hand to another thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from db.runs.rows import Alarm, model_label

KINDS = ("gt", "proxy", "u2bench", "fetal-gauge", "zero-shot", "perf")
MAIN: Mapping[str, tuple[str, ...]] = {
    "gt": ("cosine", "exact"),
    "proxy": ("keyword",),
    "u2bench": ("u2_score", "accuracy", "one_minus_rmse", "bleu4"),
    "fetal-gauge": ("accuracy",),
    "zero-shot": ("accuracy",),
    "perf": ("tokens_per_s",),
}
"""The metric that a kind is ranked by unless another is named; the first of these that is there."""
SORTS = ("value", "gain", "model", "newest")

Role = Literal["run", "floor", "reference", "published", "document"]
Of = tuple[str | None, str | None]
"""Question and category that a score is of; both None overall."""


@dataclass(frozen=True)
class Query:
    """Which scores: of a kind, by a metric (None: its main one), of a question or category (None: overall)."""

    kind: str
    metric: str | None = None
    question: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class View:
    """How they are shown: only the newest run of a model, names that hold some text, in which order."""

    newest: bool = True
    text: str = ""
    sort: str = "value"


@dataclass(frozen=True)
class Candidate:
    """A run's score as it was stored, with what decides whether it may stand beside another.

    ``alarms`` are all that concern the run here, also those that its own row does not repeat.
    """

    run: int
    model: str
    from_run: int | None
    state: str
    progress: tuple[int | None, int | None]
    archived: bool
    value: float
    low: float | None
    high: float | None
    n: int
    answered: int
    failed: int
    empty: int
    unparseable: int
    gain: float | None
    source: str
    stated: bool
    partial: bool
    lower_is_better: bool
    floors: Mapping[str, float]
    references: Mapping[str, float]
    alarms: tuple[Alarm, ...]
    questions: int
    """How many questions the score is over."""
    deciding: Mapping[str, Any]
    minor: Mapping[str, Any]
    data: str
    """The name of its data file."""

    @property
    def label(self) -> str:
        return model_label(self.model, self.from_run)


@dataclass(frozen=True)
class Stated:
    """A score that the note states."""

    model: str
    value: float
    n: int | None
    approximate: bool
    text: str


@dataclass(frozen=True)
class Rank:
    """``low``–``high`` is where the rank lies; ``compared`` is the run of `fada compare` that found it by bootstrap.

    Where nobody compared, intervals that overlap could stand in either order.
    """

    low: int
    high: int
    compared: int | None = None

    @property
    def text(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"


RankTable = Mapping[int, Rank]


@dataclass(frozen=True)
class Candidates:
    """All that was read for one query. ``metrics`` and ``ofs`` are what there is to choose from."""

    query: Query
    metric: str
    kinds: tuple[str, ...]
    metrics: tuple[str, ...]
    ofs: tuple[Of, ...]
    runs: tuple[Candidate, ...] = ()
    stated: tuple[Stated, ...] = ()
    compared: Mapping[frozenset[int], RankTable] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One row of the board. ``rank`` None and ``place`` None: it is not ranked.

    ``why`` says why a run is not ranked; ``notes`` is what else must be known of it.
    """

    role: Role
    name: str
    value: float
    run: int | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    answered: int | None = None
    failed: int | None = None
    empty: int | None = None
    unparseable: int | None = None
    gain: float | None = None
    source: str = "run"
    alarms: tuple[Alarm, ...] = ()
    rank: Rank | None = None
    ranked: bool = False
    why: str = ""
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.role}:{self.run if self.run is not None else self.name}:{self.source}"


@dataclass(frozen=True)
class Group:
    """Runs that were asked the same in the same way; ``differs`` is what sets them apart from the first group."""

    title: str
    differs: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Board:
    """A leaderboard, ready to be drawn or written."""

    kind: str
    metric: str
    question: str | None
    category: str | None
    lower_is_better: bool
    groups: tuple[Group, ...]
    unranked: tuple[Entry, ...]
    stated: tuple[Entry, ...]
    older: int = 0
    """Runs that are left out because a newer one of the same model is there."""

    @property
    def of(self) -> str:
        """What the scores are of, in words."""
        return " · ".join(part for part in (self.question, self.category) if part) or "overall"

    @property
    def ranked(self) -> int:
        return sum(entry.ranked for group in self.groups for entry in group.entries)

    def __bool__(self) -> bool:
        return bool(self.groups or self.unranked or self.stated)
