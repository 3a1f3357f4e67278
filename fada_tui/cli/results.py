"""Scores, each with what it takes to believe it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from db.runs.rows import Score
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import table

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser("scores", parents=[shared], help="every score with interval, floors and alarms")
    parser.add_argument("--run", type=int, metavar="ID", help="only this run")
    parser.add_argument("--overall", action="store_true", help="without the rows per question and category")
    parser.set_defaults(handler=show_scores)


def show_scores(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.reconcile import tick_and_wake
    from db.runs.queries import get_run, scores
    from db.tracker.queries import load_tracker

    tick_and_wake(context.runs, context.home)
    if args.run is not None and get_run(context.runs, args.run) is None:
        raise UsageError(f"there is no run #{args.run}", hint="`fada jobs` lists them")
    found = [score for score in scores(context.runs, args.run, args.overall) if not score.partial]
    if args.run is None:
        found = [*_from_document(load_tracker(context.tracker)), *found]
    context.emit([as_document(score) for score in found], lambda: _listing(found))


def _from_document(tracker: Any) -> list[Score]:
    """What the note states: no interval, no floors; n only where the note gives it."""
    return [
        Score(
            run=None,
            model=model.name,
            kind=score.kind,
            metric=score.metric,
            question=None,
            category=None,
            value=score.value,
            ci_low=None,
            ci_high=None,
            n=score.n or 0,
            answered=score.n or 0,
            failed=0,
            source="document",
        )
        for model in tracker.models
        for score in model.scores
    ]


def as_document(score: Score) -> dict[str, Any]:
    """The shape of `fada scores --json`."""
    keys = ("run", "model", "kind", "metric", "question", "category", "value", "ci_low", "ci_high", "n", "answered")
    document = {key: getattr(score, key) for key in keys} | {"failed": score.failed, "source": score.source}
    document |= {"floors": score.floors, "references": score.references}
    document["alarms"] = [{"kind": one.kind, "question": one.question, "text": one.text} for one in score.alarms]
    return document | {"fingerprint": score.fingerprint, "from_run": score.from_run}


def _listing(scores: list[Score]) -> str:
    if not scores:
        return "No scores yet. `fada eval MODEL --data FILE.jsonl` makes some."
    rows = [
        (
            f"#{score.run}" if score.run else score.source,
            score.label,
            f"{score.kind} {score.metric}",
            score.question or score.category or "overall",
            value_text(score),
            str(score.n) if score.n else "",
            " ".join(f"{name} {value:.3f}" for name, value in {**score.floors, **score.references}.items()),
            "; ".join(f"⚠ {alarm.kind}" for alarm in score.alarms),
        )
        for score in scores
    ]
    head = ("run", "model", "score", "of", "value [95 %]", "n", "floors and references", "alarms")
    return table(head, rows, right=(5,))


def value_text(score: Score) -> str:
    """``0.812 [0.790, 0.833]``; the value alone where there is no honest interval."""
    digits = 1 if score.metric == "tokens_per_s" else 3
    text = f"{score.value:.{digits}f}"
    if score.ci_low is not None and score.ci_high is not None:
        text += f" [{score.ci_low:.{digits}f}, {score.ci_high:.{digits}f}]"
    return text
