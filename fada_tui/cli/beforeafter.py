"""What a fine-tune changed: scores of its base and of its result on the same questions, and their paired difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from db.runs.queries import get_run, scores
from db.runs.rows import Score
from fada_tui.cli.context import Context
from fada_tui.cli.output import table
from fada_tui.cli.results import as_document
from fada_tui.text import printable

if TYPE_CHECKING:
    from backends.jobs.follow import Followed

COUNTS = ("cosine", "exact", "keyword")
"""Metrics that are told; `fada scores` has the others."""


def before_after(context: Context, made: Sequence[Followed]) -> list[dict[str, Any]]:
    """A document for each fine-tune whose evaluations are both done; the tool ``compare`` compares them."""
    return [
        _document(context, one.tune, one.base, one.tuned)
        for one in made
        if one.base is not None and one.tuned is not None and _done(context, one.base) and _done(context, one.tuned)
    ]


def _done(context: Context, run: int) -> bool:
    found = get_run(context.runs, run)
    return found is not None and found.state == "done"


def _document(context: Context, tune: int, base: int, tuned: int) -> dict[str, Any]:
    run = get_run(context.runs, tune)
    return {
        "tune": tune,
        "base": base,
        "tuned": tuned,
        "tags": list(run.tags) if run else [],
        "before": [as_document(score) for score in _told(context, base)],
        "after": [as_document(score) for score in _told(context, tuned)],
        "differences": _differences(context, base, tuned),
    }


def _told(context: Context, run: int) -> list[Score]:
    found = [score for score in scores(context.runs, run, overall_only=True) if not score.partial]
    return [score for metric in COUNTS for score in found if score.metric == metric]


def _differences(context: Context, base: int, tuned: int) -> list[dict[str, Any]]:
    """Of the result less its base; made once, as the compare screen makes it."""
    from backends.jobs.comparison import enqueue_comparison, find
    from backends.jobs.queue import wait

    runs = (tuned, base)
    found = find(context.runs, context.home, runs, None)
    if found is None:
        wait(context.home, [enqueue_comparison(context.home, runs, None)])
        found = find(context.runs, context.home, runs, None)
    return list(found.document.get("comparisons") or []) if found else []


def shown(found: Sequence[Mapping[str, Any]]) -> str:
    """A table: a line a metric and fine-tune, its floors, and every alarm below it."""
    if not found:
        return ""
    rows, alarms = [], []
    for one in found:
        after = {score["metric"]: score for score in one["after"]}
        differences = {row["metric"]: row for row in one["differences"]}
        for before in one["before"]:
            if (now := after.get(before["metric"])) is not None:
                rows.append(_row(one, before, now, differences.get(before["metric"]) or {}))
        alarms += _alarms(one)
    head = ("run", "metric", "before", "after", "difference [95 %]", "n", "floors", "")
    return "\n".join([table(head, rows, right=(5,)), *alarms])


def _row(
    one: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any], apart: Mapping[str, Any]
) -> list[Any]:
    low, high = apart.get("ci_low"), apart.get("ci_high")
    difference = "" if apart.get("difference") is None else f"{apart['difference']:+.3f}"
    if low is not None and high is not None:
        difference += f" [{low:+.3f}, {high:+.3f}]"
    floors = ", ".join(f"{name} {value:.3f}" for name, value in (now.get("floors") or {}).items())
    tags = " ".join(tag for tag in one["tags"] if "=" in tag)
    return [f"#{one['tune']}", now["metric"], _value(before), _value(now), difference, now["n"], floors, tags]


def _value(score: Mapping[str, Any]) -> str:
    text = f"{score['value']:.3f}"
    if score["ci_low"] is None or score["ci_high"] is None:
        return text
    return f"{text} [{score['ci_low']:.3f}, {score['ci_high']:.3f}]"


def _alarms(one: Mapping[str, Any]) -> list[str]:
    """Of the base and of the result, and how alike the two runs are not."""
    texts = [
        f"{when} {alarm['kind']}: {alarm['text']}"
        for when in ("before", "after")
        for score in one[when]
        for alarm in score["alarms"]
    ]
    texts += [text for row in one["differences"] for text in row.get("warnings") or ()]
    return [printable(f"⚠ #{one['tune']} {text}") for text in dict.fromkeys(texts)]
