"""What the panes show: frozen, made in a worker thread, handed to the app by message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db.runs.states import ACTIVE_STATES, WAITING_STATES

if TYPE_CHECKING:
    from backends.telemetry.rules import Alert
    from backends.telemetry.sample import Telemetry
    from db.runs.rows import Message, MetricPoint, MetricSummary, Prediction, Run, Score
    from db.runs.telemetry import Mark, Span
    from db.tracker.rows import Item, Model, Proposal


@dataclass(frozen=True)
class Failure:
    """What the worker said when it failed."""

    message: str
    hint: str | None = None


@dataclass(frozen=True)
class RunView:
    """One run with its curves, scores (overall and by question or category) and newest answers, newest first."""

    run: Run
    spec: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, tuple[MetricPoint, ...]] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    messages: tuple[Message, ...] = ()
    failure: Failure | None = None
    reserved_because: str | None = None
    """Where its reservation is from."""
    max_seconds: float | None = None
    """How long each attempt may run, pauses left out."""
    others: tuple[MetricSummary, ...] = ()
    """Of metrics whose curve is not read, the last values."""
    last_words: tuple[str, ...] = ()
    """The end of the log of a run that failed without saying why."""

    @property
    def overall(self) -> tuple[Score, ...]:
        """The newest overall row of each metric; earlier held-out ones are the score curve."""
        newest: dict[str, Score] = {}
        for score in self.scores:
            if score.question is None and score.category is None:
                old = newest.get(score.metric)
                if old is None or _age(score) >= _age(old):
                    newest[score.metric] = score
        return tuple(newest.values())

    @property
    def compared(self) -> tuple[int, ...]:
        """The runs that a comparison is of; none for any other job."""
        tool = self.spec.get("tool") or {}
        return tuple(tool["args"]["runs"]) if tool.get("name") == "compare" else ()


def _age(score: Score) -> float:
    """The step it was made at; a run's final score is newer than any step."""
    return float("inf") if score.step is None else score.step


@dataclass(frozen=True)
class Outlook:
    """What lies ahead of the queue, in words made where nobody waits for them."""

    done: str = ""
    """``done by 07:40``, or what is not known; empty where nothing is to be done."""
    short: str = ""
    """The same in few words."""
    after: Mapping[int, int] = field(default_factory=dict)
    """Each queued run and the one at whose end it should start."""
    reserved_because: Mapping[int, str] = field(default_factory=dict)
    """Where the reservation of each run that is not over is from: ``seen in #12``."""


@dataclass(frozen=True)
class RunList:
    """All runs that wait or run and the newest of the others, oldest first; the overall scores of every run.

    What was put away is left out.
    """

    runs: tuple[Run, ...] = ()
    scores: tuple[Score, ...] = ()
    outlook: Outlook = Outlook()

    @property
    def active(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.state in ACTIVE_STATES)

    @property
    def waiting(self) -> tuple[Run, ...]:
        runs = [run for run in self.runs if run.state in WAITING_STATES]
        return tuple(sorted(runs, key=lambda run: (run.position, run.id)))

    @property
    def over(self) -> tuple[Run, ...]:
        """Newest first."""
        return tuple(run for run in reversed(self.runs) if run.is_over)

    def get(self, run_id: int | None) -> Run | None:
        return next((run for run in self.runs if run.id == run_id), None)

    def default(self) -> Run | None:
        """The newest that runs, else the newest that is over, else the newest."""
        for group in (self.active, tuple(reversed(self.over)), self.runs):
            if group:
                return group[-1]
        return None

    def live_of(self, model: Model) -> Run | None:
        """The newest live run of a tracked model."""
        names = {model.name.casefold(), *(alias.casefold() for alias in model.aliases)}
        return next((run for run in reversed(self.active) if run.model.casefold() in names), None)


@dataclass(frozen=True)
class History:
    """A longer time in stretches, and where runs began and ended in it."""

    since: float
    until: float
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class TelemetryView:
    """Samples of the last minutes, oldest first; ``recorded`` where the dispatcher made them."""

    samples: tuple[Telemetry, ...] = ()
    recorded: bool = False
    alerts: tuple[Alert, ...] = ()
    """Those that are up, the newest first."""
    bell: bool = True
    """Whether one that is raised is to be heard."""
    history: History | None = None
    """Where it was asked for."""
    replay: str = ""
    """What is played back instead of what is now: where in it, in a few words."""

    @property
    def newest(self) -> Telemetry | None:
        return self.samples[-1] if self.samples else None


@dataclass(frozen=True)
class Selection:
    """What a command would act on: the focused pane, and what its cursor stands on."""

    pane: str = "tracker"
    model: Model | None = None
    item: Item | None = None
    run: Run | None = None
    section: str | None = None
    """The key of a section's or phase's head."""
    marked_models: tuple[Model, ...] = ()
    """Those that were marked to be acted on at once, in the order of the note."""
    marked_items: tuple[Item, ...] = ()
    proposal: Proposal | None = None
    """What a finished run suggests for :attr:`model`."""
    absent: Model | None = None
    """A model that the note no longer has: it can only be looked at."""
    item_models: tuple[Model, ...] = ()
    """What the marked checklist items speak of, else the item under the cursor."""
