"""Scores that another program states, as rows that stand beside our own of the same answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backends.data.results.made import Stated
from backends.scoring.alarms import COVERAGE, TOP_SHARE, coverage, spread
from backends.scoring.answer import Answer
from backends.scoring.digest import answer_hashes, digest

AGREES = 0.005
"""Stated and rescored values further apart than this are not the same measurement."""
_FEWEST = 10
_STATED = "_stated"

Row = dict[str, Any]


def stated_rows(stated: Iterable[Stated], answers: Sequence[Answer], rescored: Sequence[Row]) -> list[Row]:
    """A row for each stated score, ``source`` ``import`` and ``stated`` true; ``n`` is 0 where nobody says it.

    Where a row of ``rescored`` has the same metric, question and category, that one is the score: it gets
    ``references["stated"]``, and the stated one is named ``METRIC_stated``, with an alarm where the two disagree.
    """
    rows = []
    for one in stated:
        here = [answer for answer in answers if _of(one, answer)]
        row = {
            "metric": one.metric,
            "question": one.question,
            "category": one.category,
            "value": one.value,
            "ci_low": None,
            "ci_high": None,
            **_counts(one, here),
            "floors": {},
            "references": {},
            "source": "import",
            "stated": True,
            **{
                key: value for key, value in one.extra.items() if key in ("stderr", "primary_std", "normalization_rate")
            },
        }
        rows.append(row)
    return beside_ours(rows, rescored)


def beside_ours(stated: Iterable[Row], rescored: Sequence[Row]) -> list[Row]:
    """Stated rows as they stand beside ``rescored`` ones, see :func:`stated_rows`; also after another scoring."""
    ours = {_key(row): row for row in rescored}
    rows = []
    for one in stated:
        plain = one | {"metric": str(one["metric"]).removesuffix(_STATED), "references": {}}
        plain["alarms"] = [alarm for alarm in one["alarms"] if alarm["kind"] != "fingerprint"]
        own = ours.get(_key(plain))
        if own is not None:
            own["references"] = {**own["references"], "stated": plain["value"]}
            plain["alarms"] += _disagreement(plain, own)
            plain |= {"metric": f"{plain['metric']}{_STATED}", "references": {"rescored": own["value"]}}
        rows.append(plain)
    return rows


def flat_answers(answers: Iterable[Answer]) -> list[dict[str, Any]]:
    """A collapse alarm for each question that nearly always got one answer, told without references."""
    by_topic: defaultdict[str, list[str]] = defaultdict(list)
    for answer in answers:
        if not answer.failed:
            by_topic[answer.topic].append(answer.prediction or "")
    alarms = []
    for topic, texts in sorted(by_topic.items()):
        said = spread(texts)
        if said.n >= _FEWEST and said.top_share >= TOP_SHARE:
            top = said.top if len(said.top) <= 60 else said.top[:59] + "…"
            text = f"{topic}: {said.top_share:.0%} of {said.n} answers are “{top}” (no references to compare with)"
            alarms.append({"kind": "collapse", "question": topic, "text": text})
    return alarms


def partial_alarm(samples: int, unanswered: int) -> list[dict[str, Any]]:
    """One alarm where the results answer fewer than 95 % of the data that they were joined with."""
    answered = samples - unanswered
    if answered >= COVERAGE * samples:
        return []
    text = (
        f"answers {answered} of the {samples} questions in the data ({answered / samples:.1%}); the rest are not here"
    )
    return [{"kind": "coverage", "question": None, "text": text}]


def with_alarms(rows: Iterable[Row], alarms: Sequence[dict[str, Any]]) -> list[Row]:
    """The rows, each with those alarms that concern it and that it does not have: all in the overall rows."""
    return [{**row, "alarms": [*row["alarms"], *_new(row, alarms)]} for row in rows]


def _new(row: Row, alarms: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    overall = row["question"] is None and row["category"] is None
    there = {(alarm["kind"], alarm["question"]) for alarm in row["alarms"]}
    return [
        alarm
        for alarm in alarms
        if (overall or (row["category"] is None and alarm["question"] == row["question"]))
        and (alarm["kind"], alarm["question"]) not in there
    ]


def _counts(one: Stated, here: Sequence[Answer]) -> Row:
    failed = sum(answer.failed for answer in here)
    empty = sum(answer.empty for answer in here)
    n = one.n or len(here)
    counted: Row = {"n": n, "answered": max(0, n - failed), "failed": min(n, failed), "empty": empty}
    counted["alarms"] = coverage(len(here), failed, empty)
    if here:
        counted["digest"] = digest(answer_hashes(here))
    return counted


def _disagreement(one: Row, own: Mapping[str, Any]) -> list[dict[str, Any]]:
    if abs(one["value"] - own["value"]) <= AGREES:
        return []
    by = own.get("embedding")
    how = f" with {by['name']}" if isinstance(by, Mapping) and by.get("name") else ""
    text = f"stated {one['value']:.4f}; the same answers scored here{how}: {own['value']:.4f}"
    return [{"kind": "fingerprint", "question": one["question"], "text": text}]


def _of(one: Stated, answer: Answer) -> bool:
    return one.question in (None, answer.topic) and one.category in (None, answer.category)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["metric"], row["question"], row["category"]
