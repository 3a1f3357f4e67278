"""Each metric's value of each answer, and of what a score must beat: floors and references, answer by answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring import floors
from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder
from backends.scoring.exact import exact_match
from backends.scoring.groups import Group
from backends.scoring.resampling import Floats
from backends.scoring.shuffled import expected, expected_cosine, expected_exact
from backends.scoring.topics import TOPIC_METRICS
from backends.scoring.wording import keyword_recall

Texts = dict[str, list[str]]
TEXT_ONLY = "text_only"
"""The floor of what the same model answers where it sees nothing."""

PER_ANSWER = ("cosine", "exact", "keyword", *sorted({metric.name for metric in TOPIC_METRICS.values()}))
"""Metrics that are means over answers, so that two runs can be compared answer by answer."""


@dataclass(frozen=True)
class Values:
    """Values (n,) of the answers themselves and, under their names, of the floors and references."""

    name: str
    own: Floats
    floors: dict[str, Floats]
    references: dict[str, Floats]
    unparseable: NDArray[np.bool_]
    share: bool = True
    """Values are in 0..1 by nature."""
    extra: dict[str, Any] = field(default_factory=dict)


def said_of(answers: Sequence[Answer]) -> list[str]:
    """What was answered; empty for what failed."""
    return ["" if answer.failed or answer.empty else answer.prediction or "" for answer in answers]


def yardsticks(answers: Sequence[Answer], text_only: Mapping[str, str] | None = None) -> Texts:
    """Answers that need no image: ``majority``, ``category_majority``, and ``text_only`` where it is given (by id)."""
    texts = {"majority": floors.majority(answers), "category_majority": floors.category_majority(answers)}
    return texts if text_only is None else {**texts, TEXT_ONLY: [text_only.get(one.id, "") for one in answers]}


def cosine_values(
    answers: Sequence[Answer],
    texts: Texts,
    embedder: Embedder,
    progress: Callable[[int, int], None] | None = None,
) -> Values:
    """Embedding cosine of answer and reference, in -1..1."""
    references, said = [answer.reference for answer in answers], said_of(answers)
    # In one call, so that progress counts once.
    embedder.encode([*said, *references, *(text for column in texts.values() for text in column)], progress)
    there = np.array([bool(text) for text in said])
    vectors = embedder.units(said) * there[:, None]
    own = np.where(there, embedder.cosine(said, references), 0.0)
    shuffled = expected_cosine([answer.topic for answer in answers], vectors, embedder.units(references))
    known = {
        name: np.where([bool(text) for text in column], embedder.cosine(column, references), 0.0)
        for name, column in texts.items()
    }
    return replace(_values("cosine", own, shuffled, known), share=False, extra={"embedding": embedder.loaded})


def exact_values(answers: Sequence[Answer], texts: Texts) -> Values:
    """Exact match after normalising."""
    references, said = [answer.reference for answer in answers], said_of(answers)

    def values(column: Sequence[str]) -> Floats:
        return np.array([exact_match(*pair) for pair in zip(column, references, strict=True)], np.float64)

    shuffled = expected_exact([answer.topic for answer in answers], said, references)
    return _values("exact", values(said), shuffled, {name: values(column) for name, column in texts.items()})


def topic_values(answers: Sequence[Answer], texts: Texts, group: Group, seed: int) -> Values | None:
    """Of the metric of the group's question, 0 outside the group; None where the question has none."""
    metric = TOPIC_METRICS.get(group.question or "")
    return None if metric is None else _by_text(metric.name, metric.value, answers, texts, group.mask, seed)


def keyword_values(answers: Sequence[Answer], texts: Texts, seed: int) -> Values:
    """The metric of proxy runs, of all questions; it compares with no other."""
    found: list[Values] = []
    topics = np.array([answer.topic for answer in answers], dtype=object)
    for topic in sorted(set(topics)):
        found.append(_by_text("keyword", keyword_recall, answers, texts, topics == topic, seed))

    def total(columns: Sequence[Floats]) -> Floats:
        return np.asarray(np.sum(columns, axis=0))

    known = {name: total([{**one.floors, **one.references}[name] for one in found]) for name in texts}
    keyword = _values(
        "keyword", total([one.own for one in found]), total([one.floors["shuffled"] for one in found]), known
    )
    return replace(keyword, extra={"comparable": False})


def _by_text(
    name: str,
    value: Callable[[str, str], float | None],
    answers: Sequence[Answer],
    texts: Texts,
    mask: NDArray[np.bool_],
    seed: int,
) -> Values:
    rows = np.flatnonzero(mask).tolist()
    references, said = [answers[row].reference for row in rows], said_of([answers[row] for row in rows])
    raw = [value(text, reference) if text else 0.0 for text, reference in zip(said, references, strict=True)]

    def spread(column: Sequence[float | None] | Floats) -> Floats:
        whole = np.zeros(len(answers))
        whole[rows] = [one or 0.0 for one in column]
        return whole

    known = {
        key: spread([value(column[row], answers[row].reference) if column[row] else 0.0 for row in rows])
        for key, column in texts.items()
    }
    shuffled = expected(said, references, lambda text, reference: value(text, reference) or 0.0, seed)
    unparseable = np.zeros(len(answers), dtype=np.bool_)
    unparseable[rows] = [one is None for one in raw]
    return _values(name, spread(raw), spread(shuffled), known, unparseable)


def _values(
    name: str,
    own: Floats,
    shuffled: Floats,
    known: Mapping[str, Floats],
    unparseable: NDArray[np.bool_] | None = None,
) -> Values:
    """``known``: values of the yardsticks; what knows the category is a reference, the others are floors."""
    if unparseable is None:
        unparseable = np.zeros(len(own), dtype=np.bool_)
    references = {key: one for key, one in known.items() if key == "category_majority"}
    found = {"majority": known["majority"], "shuffled": shuffled}
    found |= {key: one for key, one in known.items() if key not in references}
    return Values(name, own, found, references, unparseable)


def per_answer(metric: str, answers: Sequence[Answer], embedder: Embedder | None = None) -> dict[str, float]:
    """The metric's value of each answer that has it, by id; the metrics of questions are of theirs only.

    Raises:
        ValueError: there is no such metric, it is no mean over answers, or cosine is without an embedder.
    """
    said = said_of(answers)
    if metric == "cosine":
        if embedder is None:
            raise ValueError("cosine needs an embedding")
        found = embedder.cosine(said, [answer.reference for answer in answers])
        return {answer.id: float(one) if text else 0.0 for answer, text, one in zip(answers, said, found, strict=True)}
    of_topic = {topic: one.value for topic, one in TOPIC_METRICS.items() if one.name == metric}
    everywhere = {"exact": exact_match, "keyword": keyword_recall}.get(metric)
    if everywhere is None and not of_topic:
        raise ValueError(f"no metric {metric!r} to compare answer by answer; known: {', '.join(PER_ANSWER)}")
    values = {}
    for answer, text in zip(answers, said, strict=True):
        value = everywhere or of_topic.get(answer.topic)
        if value is not None:
            values[answer.id] = float(value(text, answer.reference) or 0) if text else 0.0
    return values
