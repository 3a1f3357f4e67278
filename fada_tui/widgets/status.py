"""How a model, a run and a score are said in a few cells: a sign or a word, and the token of its meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from fada_tui.format import count, number, percent, score
from fada_tui.widgets.line import Line, cut

if TYPE_CHECKING:
    from db.runs.rows import Prediction, Run, Score
    from db.tracker.rows import Model, Proposal

_STATUS = {
    "TODO": ("to do", "todo"),
    "Available": ("avail", "todo"),
    "Local tested": ("local", "proxy"),
    "Perf tested": ("perf", "proxy"),
    "Proxy tested": ("proxy", "proxy"),
    "Tested": ("tested", "tested"),
    "Fine-tuned": ("tuned", "tuned"),
}
_STATE = {
    "held": ("‖", "dim"),
    "queued": ("·", "dim"),
    "starting": ("●", "running"),
    "running": ("●", "running"),
    "paused": ("‖", "running"),
    "done": ("✓", "good"),
    "failed": ("✗", "error"),
    "cancelled": ("–", "dim"),
    "lost": ("?", "error"),
}
_KIND_ORDER = ("gt", "u2bench", "fetal-gauge", "zero-shot", "proxy", "perf")
_HEADLINES = ("cosine", "exact", "u2_score", "accuracy", "keyword", "tokens_per_s")
"""What a kind is known by: never the metric that happens to be the highest."""
_UNRANKED_COVERAGE = 0.95


def status_span(status: str) -> tuple[str, str]:
    """A status in at most six cells; the note's own words where they are none of the ladder."""
    return _STATUS.get(status, (status, ""))


def state_span(run: Run) -> tuple[str, str]:
    return _STATE.get(run.state, ("?", "dim"))


def what(run: Run) -> str:
    """``eval gt``, ``finetune``; an export (``gguf q4_k_m``) and a tool that has a name of its own are called by it."""
    if run.kind == "tool":
        return run.task or "tool"
    if run.export:
        return run.export
    return f"{run.kind} {run.task}" if run.task else run.kind


def named(run: Run, width: int) -> str:
    """The run's model in at most ``width`` cells; of a tuned one the name is cut, never the mark that it is tuned.

    Where there is no room for the mark with its number it is the arrow alone.
    """
    mark = run.label.removeprefix(run.model)
    if cell_len(mark) + 1 >= width:
        mark = mark.strip()[:1]
    return cut(run.model, width - cell_len(mark)) + mark if width > cell_len(mark) else cut(mark, width)


def tag_text(run: Run) -> str:
    """``[night] [v2]``"""
    return " ".join(f"[{tag}]" for tag in run.tags)


def waiting_for(run: Run) -> str:
    """Why a run has not begun."""
    if run.state == "held":
        return "held; h lets it go"
    if run.reason:
        return run.reason
    return f"after {' '.join(f'#{parent}' for parent in run.after)}" if run.after else "queued"


def is_comparison(run: Run) -> bool:
    """By the title that such a job is queued under: a row holds no spec."""
    return run.kind == "tool" and run.label.startswith("compare #")


def is_right(prediction: Prediction) -> bool:
    """The same words, capitals and spaces aside. The job's own `exact` score is what counts."""
    if prediction.error is not None or prediction.prediction is None or prediction.reference is None:
        return False
    return " ".join(prediction.prediction.split()).casefold() == " ".join(prediction.reference.split()).casefold()


@dataclass(frozen=True)
class Best:
    """The best score of a model and where it comes from: ``note`` or ``#12``."""

    kind: str
    metric: str
    value: float
    source: str
    approximate: bool = False
    alarm: str | None = None
    tuned: str = ""
    """``←#3`` where it is not the model's own but that of what fine-tune 3 made of it."""

    @property
    def text(self) -> str:
        return f"{number(self.value)} t/s" if self.metric == "tokens_per_s" else score(self.value)

    @property
    def mark(self) -> str:
        """``⚠`` for an alarm, ``~`` for a figure that its source calls approximate."""
        return "⚠" if self.alarm else "~" if self.approximate else ""


def best_score(model: Model, scores: Iterable[Score]) -> Best | None:
    """Of the kind that says most (reference answers before keywords before speed), the highest.

    Kinds are not comparable with each other, nor are metrics of one kind.
    A run that answered under 95 % of what was asked is not ranked.
    """
    found = [Best(s.kind, s.metric, s.value, "note", approximate=s.approximate) for s in model.scores]
    found += [_of_run(one) for one in ranked(scores)]
    for kind in _KIND_ORDER:
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            there = {one.metric for one in of_kind}
            metric = next((name for name in _HEADLINES if name in there), of_kind[0].metric)
            return max((one for one in of_kind if one.metric == metric), key=lambda one: one.value)
    return max(found, key=lambda one: one.value, default=None)


def score_rank(best: Best | None) -> tuple[int, float] | None:
    """What a best score is sorted by: how much its kind says (0 the most), then its value."""
    if best is None:
        return None
    return (_KIND_ORDER.index(best.kind) if best.kind in _KIND_ORDER else len(_KIND_ORDER)), best.value


def ranked(scores: Iterable[Score]) -> list[Score]:
    """Those that are final and were answered for nearly all of what was asked, as far as is known."""
    return [
        one
        for one in scores
        if not one.partial
        and one.step is None
        # An exported file is checked on a few questions, to compare it with its original and with nothing else.
        and one.kind != "convert"
        and one.n
        and one.answered >= one.n * _UNRANKED_COVERAGE
        # What was brought in can lack questions of the data altogether: then only an alarm tells.
        and not any(alarm.kind == "coverage" for alarm in one.alarms)
    ]


def _of_run(one: Score) -> Best:
    alarm = one.alarms[0].kind if one.alarms else None
    source = f"#{one.run}" if one.run else one.source
    tuned = "" if one.from_run is None else f"←#{one.from_run}"
    return Best(one.kind, one.metric, one.value, source, alarm=alarm, tuned=tuned)


def scores_by_model(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Overall scores by the model's name, capitals aside."""
    grouped: dict[str, list[Score]] = {}
    for one in scores:
        if one.question is None and one.category is None:
            grouped.setdefault(one.model.casefold(), []).append(one)
    return grouped


def names_of(model: Model) -> set[str]:
    """What its runs may call it: name and aliases, capitals aside."""
    return {model.name.casefold(), *(alias.casefold() for alias in model.aliases)}


def scores_of(model: Model, grouped: dict[str, list[Score]]) -> list[Score]:
    return [one for name in names_of(model) for one in grouped.get(name, ())]


def headline_score(scores: Iterable[Score]) -> Score | None:
    """The overall row that a run is known by: the first of :data:`_HEADLINES` that is there, else the last."""
    rows = [one for one in scores if one.question is None and one.category is None]
    for metric in _HEADLINES:
        for one in reversed(rows):
            if one.metric == metric:
                return one
    return rows[-1] if rows else None


def proposal_text(proposal: Proposal) -> str:
    """``→ Tested ⚠#12  81.1% GT (600 samples)``: what a run suggests; the alarm before the number, which may be cut."""
    words = f"  {proposal.words}" if proposal.words else ""
    return f"→ {proposal.status} {'⚠' if proposal.alarms else ''}#{proposal.run}{words}"


def live_line(run: Run) -> Line:
    """``● #12 34 %``"""
    fraction = f" {percent(run.fraction)}" if run.fraction is not None else f" {run.state}"
    return ((f"● #{run.id}{fraction}", "running"),)


def parting_words(runs: tuple[Run, ...], waiting: int) -> str | None:
    """What is said after quitting: that jobs go on without the panel."""
    if not runs and not waiting:
        return None
    parts = [count(len(runs), "job") + (" goes on" if len(runs) == 1 else " go on")] if runs else []
    if waiting:
        parts.append(f"{waiting} wait{'s' if waiting == 1 else ''} in the queue")
    return f"{', '.join(parts)}; `fada jobs` shows {'it' if len(runs) + waiting == 1 else 'them'}"
