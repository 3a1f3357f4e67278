"""The scores of a set of answers, each with its interval, floors and alarms, ready for scores.json and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring import alarms, floors
from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder
from backends.scoring.exact import exact_match
from backends.scoring.intervals import Column, Interval, intervals

VERSION = 1
"""Changes whenever the same answers would score differently."""
RESAMPLES = 10_000

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Metric:
    """Values (n,) of the answers themselves, of the majority answers and of the category-majority answers."""

    name: str
    values: Floats
    majority: Floats
    category_majority: Floats
    extra: dict[str, Any]


@dataclass(frozen=True)
class _Group:
    """The rows of one score: all, a question's or a category's."""

    question: str | None
    category: str | None
    mask: Mask


def score_answers(
    answers: Sequence[Answer],
    *,
    embedder: Embedder | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Score ``answers`` overall, per question (topic) and per category.

    Metrics are ``cosine`` (first, if there is an embedder) and ``exact``. What failed or is empty counts as wrong: 0
    in both. Nothing is returned for no answers.

    Args:
        resamples: Of the bootstrap; 0 leaves ``exact`` Wilson's interval and ``cosine`` none, in milliseconds.
        partial: Marks the rows as those of a run that goes on.
        progress: Called with (done, total) distinct texts embedded.

    Returns:
        Rows with ``metric``, ``question``, ``category``, ``value``, ``ci_low``, ``ci_high``, ``n`` (asked),
        ``answered``, ``failed``, ``floors`` (``majority``), ``references`` (``category_majority``), ``alarms``, and
        ``empty``, ``images``, ``interval`` (the method), ``effective_n``, ``scorer``, ``partial``; cosine rows also
        ``embedding`` (the model as loaded).
    """
    if not answers:
        return []
    metrics = _metrics(answers, embedder, progress)
    groups = _groups(answers)
    images = np.unique([answer.image_path for answer in answers], return_inverse=True)[1].astype(np.int64)
    found = _intervals(metrics, groups, images, resamples, seed)
    facts = [_facts(answers, images, group) for group in groups]
    shared = {"scorer": VERSION, "partial": partial}
    return [
        _row(metric, group, interval, counts) | shared
        for metric, of_metric in zip(metrics, found, strict=True)
        for group, interval, counts in zip(groups, of_metric, facts, strict=True)
    ]


def _row(metric: _Metric, group: _Group, interval: Interval | None, facts: dict[str, Any]) -> dict[str, Any]:
    mask = group.mask
    return {
        "metric": metric.name,
        "question": group.question,
        "category": group.category,
        "value": float(metric.values[mask].mean()),
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
        **facts,
        "floors": {"majority": float(metric.majority[mask].mean())},
        "references": {"category_majority": float(metric.category_majority[mask].mean())},
        "interval": interval.method if interval else None,
        "effective_n": interval.effective_n if interval else None,
        **metric.extra,
    }


def _facts(answers: Sequence[Answer], images: NDArray[np.int64], group: _Group) -> dict[str, Any]:
    """Counts and alarms of a group, the same for every metric."""
    here = [answer for answer, inside in zip(answers, group.mask, strict=True) if inside]
    failed = sum(answer.failed for answer in here)
    flat = alarms.collapse(here) if group.category is None else []
    return {
        "n": len(here),
        "answered": len(here) - failed,
        "failed": failed,
        "empty": sum(answer.empty for answer in here),
        "images": len(np.unique(images[group.mask])),
        "alarms": alarms.coverage(here) + flat,
    }


def _metrics(
    answers: Sequence[Answer], embedder: Embedder | None, progress: Callable[[int, int], None] | None
) -> list[_Metric]:
    references = [answer.reference for answer in answers]
    constant, per_category = floors.majority(answers), floors.category_majority(answers)
    said = ["" if answer.failed or answer.empty else answer.prediction or "" for answer in answers]
    metrics = []
    if embedder is not None:
        # In one call, so that progress counts once.
        embedder.encode([*said, *references, *constant, *per_category], progress)
        cosine = np.where([bool(text) for text in said], embedder.cosine(said, references), 0.0)
        floor, reference = (embedder.cosine(texts, references) for texts in (constant, per_category))
        metrics.append(_Metric("cosine", cosine, floor, reference, {"embedding": embedder.loaded}))
    exact, floor, reference = (_exact(texts, references) for texts in (said, constant, per_category))
    return [*metrics, _Metric("exact", exact, floor, reference, {})]


def _exact(texts: Sequence[str], references: Sequence[str]) -> Floats:
    return np.array([exact_match(*pair) for pair in zip(texts, references, strict=True)], np.float64)


def _groups(answers: Sequence[Answer]) -> list[_Group]:
    topics = np.array([answer.topic for answer in answers], dtype=object)
    categories = np.array([answer.category for answer in answers], dtype=object)
    groups = [_Group(None, None, np.ones(len(answers), dtype=np.bool_))]
    groups += [_Group(topic, None, topics == topic) for topic in sorted(set(topics))]
    named = sorted({category for category in categories if category is not None})
    return groups + [_Group(None, category, categories == category) for category in named]


def _intervals(
    metrics: Sequence[_Metric], groups: Sequence[_Group], images: NDArray[np.int64], resamples: int, seed: int
) -> list[list[Interval | None]]:
    """An interval a metric and group. Overall and questions share resampled images; each category has its own."""
    found: list[list[Interval | None]] = [[None] * len(groups) for _ in metrics]
    together = [at for at, group in enumerate(groups) if group.category is None]
    apart = [[at] for at, group in enumerate(groups) if group.category is not None]
    for batch in [together, *apart]:
        cells = [(row, at) for row in range(len(metrics)) for at in batch]
        columns = [Column(metrics[row].values[groups[at].mask], images[groups[at].mask]) for row, at in cells]
        for (row, at), interval in zip(cells, intervals(columns, resamples=resamples, seed=seed), strict=True):
            found[row][at] = interval
    return found
