"""When a score must not be believed: one answer for every image, or too many questions without an answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from backends.data.spread import TOP_SHARE, Spread, collapsed, spread
from backends.scoring.answer import Answer

__all__ = ["COVERAGE", "TOP_SHARE", "collapse", "coverage", "spread"]

COVERAGE = 0.95
"""Below this share of answers a run is not ranked."""


def collapse(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """An alarm for each question whose answers have :func:`backends.data.spread.collapsed`."""
    by_topic: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if not answer.failed:
            by_topic[answer.topic].append(answer)
    alarms = []
    for topic, here in sorted(by_topic.items()):
        said, true = spread(a.prediction or "" for a in here), spread(a.reference for a in here)
        if collapsed(said, true):
            alarms.append(_alarm("collapse", topic, _words(topic, said, true)))
    return alarms


def coverage(asked: int, failed: int, empty: int) -> list[dict[str, Any]]:
    """One alarm where fewer than 95 % of what was asked has an answer that is not empty."""
    answered = asked - failed - empty
    if not asked or answered >= COVERAGE * asked:
        return []
    text = f"{answered} of {asked} answered ({answered / asked:.1%}); {failed} failed, {empty} empty"
    return [_alarm("coverage", None, f"{text}: below {COVERAGE:.0%}, not ranked")]


def _words(topic: str, said: Spread, true: Spread) -> str:
    top = said.top if len(said.top) <= 60 else said.top[:59] + "…"
    return (
        f"{topic}: {said.top_share:.0%} of {said.n} answers are “{top}”"
        f" ({said.distinct} distinct, {said.entropy:.2f} bits; references {true.distinct}, {true.entropy:.2f} bits)"
    )


def _alarm(kind: str, question: str | None, text: str) -> dict[str, Any]:
    return {"kind": kind, "question": question, "text": text}
