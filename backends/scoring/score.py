"""The scores of a set of answers, each with its interval, floors and alarms, ready for scores.json and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring import alarms, normality, vocabulary
from backends.scoring.answer import Answer
from backends.scoring.digest import answer_hashes, digest
from backends.scoring.embedding import Embedder
from backends.scoring.groups import Group, groups_of, macro_value
from backends.scoring.groups import macro as macro_statistic
from backends.scoring.intervals import Column, Interval, count_images, intervals
from backends.scoring.resampling import Statistic
from backends.scoring.topics import NORMALITY
from backends.scoring.values import Values, cosine_values, exact_values, keyword_values, said_of, topic_values
from backends.scoring.values import yardsticks as texts_of

VERSION = 2
"""Changes whenever the same answers would score differently."""
RESAMPLES = 10_000
KINDS = ("gt", "proxy")


@dataclass
class _Row:
    """A row in the making: what its interval is taken of, and what stands in it."""

    group: Group
    wanted: Column | Statistic | None
    fields: dict[str, Any]
    macros: dict[str, Statistic] = field(default_factory=dict)
    """Of the overall row: the means over questions and over categories, by what they are over."""


def score_answers(
    answers: Sequence[Answer],
    *,
    kind: str = "gt",
    embedder: Embedder | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Score ``answers`` overall, per question (topic) and per category.

    A ``gt`` run has ``cosine`` (first, if there is an embedder) and ``exact``, then in one row a question what FADA
    measures there: ``set_f2`` (Q1), ``relaxed_accuracy`` (Q2, Q3), ``keyword_f1`` (Q4), ``bin_accuracy`` (Q5, Q6),
    ``balanced_accuracy`` and ``mcc`` (Q7). A ``proxy`` run has ``keyword`` alone. What failed or is empty counts as
    wrong: 0 in all of them. Nothing is returned for no answers.

    Args:
        kind: One of :data:`KINDS`.
        resamples: Of the bootstrap; 0 leaves proportions Wilson's interval and the rest none, in milliseconds.
        partial: Marks the rows as those of a run that goes on; they are without the metrics of single questions.
        progress: Called with (done, total) distinct texts embedded.

    Returns:
        Rows with ``metric``, ``question``, ``category``, ``value``, ``ci_low``, ``ci_high``, ``n`` (asked),
        ``answered``, ``failed``, ``floors`` (``majority``, ``shuffled``), ``references`` (``category_majority``),
        ``alarms``, and ``gain`` (over the highest floor), ``empty``, ``unparseable``, ``images``, ``interval`` (the
        method), ``effective_n``, ``digest`` (of the answers), ``scorer``, ``synonyms`` (hash of the file), ``partial``.
        Overall rows have ``micro`` (the value) and ``macro``: ``question`` and ``category``, each with ``value``,
        ``ci_low``, ``ci_high`` and ``groups``. Cosine rows have ``embedding`` (the model as loaded); the
        ``balanced_accuracy`` row ``sensitivity``, ``specificity``, ``mcc``, ``confusion``, ``unreadable_references``;
        rows of a proxy run ``comparable``: false.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no scores of kind {kind!r}; known: {', '.join(KINDS)}")
    if not answers:
        return []
    answers = sorted(answers, key=lambda answer: answer.id)
    images = np.unique([answer.image_path for answer in answers], return_inverse=True)[1].astype(np.int64)
    groups = groups_of(answers)
    texts = texts_of(answers)
    measured: list[Values]
    if kind == "proxy":
        measured = [keyword_values(answers, texts, seed)]
    else:
        cosine = [cosine_values(answers, texts, embedder, progress)] if embedder is not None else []
        measured = [*cosine, exact_values(answers, texts)]
    rows = [_mean_row(one, group, groups, images) for one in measured for group in groups]
    if kind == "gt" and not partial:
        for group in groups:
            rows += _topic_rows(answers, texts, group, images, seed)
    _add_intervals(rows, resamples, seed)
    facts = _facts(answers, images, groups)
    shared = {"scorer": VERSION, "synonyms": vocabulary.version(), "partial": partial}
    return [{**row.fields, **facts[row.group.key], **shared} for row in rows]


def _mean_row(values: Values, group: Group, groups: Sequence[Group], images: NDArray[np.int64]) -> _Row:
    mask = group.mask
    column = Column(values.own[mask], images[mask], values.share)
    row = _Row(group, column, _fields(values.name, group, float(values.own[mask].mean())))
    row.fields |= values.extra | {"unparseable": int(values.unparseable[mask].sum())}
    _set_floors(row, {name: float(floor[mask].mean()) for name, floor in values.floors.items()})
    row.fields["references"] = {name: float(one[mask].mean()) for name, one in values.references.items()}
    if group.overall:
        row.fields |= {"micro": row.fields["value"], "macro": {}}
        for over in ("question", "category"):
            parts = [part for part in groups if getattr(part, over) is not None]
            if parts:
                row.fields["macro"][over] = {
                    "value": macro_value(values.own, parts),
                    "ci_low": None,
                    "ci_high": None,
                    "groups": len(parts),
                }
                statistic = macro_statistic(values.own, images, parts)
                if statistic:
                    row.macros[over] = statistic
    return row


def _topic_rows(
    answers: Sequence[Answer], texts: dict[str, list[str]], group: Group, images: NDArray[np.int64], seed: int
) -> list[_Row]:
    """Of one question's group: the rows of its own metrics."""
    if group.question == NORMALITY:
        return _normality_rows(answers, texts, group, images)
    values = topic_values(answers, texts, group, seed)
    return [] if values is None else [_mean_row(values, group, (), images)]


def _normality_rows(
    answers: Sequence[Answer], texts: dict[str, list[str]], group: Group, images: NDArray[np.int64]
) -> list[_Row]:
    here = np.flatnonzero(group.mask).tolist()
    references = [answers[at].reference for at in here]
    said = {name: [column[at] for at in here] for name, column in (("own", said_of(answers)), *texts.items())}
    terms = {name: normality.counts(column, references) for name, column in said.items()}
    totals = {name: rows.sum(0) for name, rows in terms.items()}
    totals["shuffled"] = normality.shuffled(said["own"], references)
    if not totals["own"].any():
        return []
    extra = normality.confusion(said["own"], references) | {"mcc": float(normality.mcc(totals["own"]))}
    unparseable = sum(bool(text) and normality.normality(text) is None for text in said["own"])
    rows = []
    for name, of in (("balanced_accuracy", normality.balanced_accuracy), ("mcc", normality.mcc)):
        wanted = Statistic(terms["own"], images[here], of) if normality.enough(terms["own"], images[here]) else None
        row = _Row(group, wanted, _fields(name, group, float(of(totals["own"]))))
        row.fields |= {"unparseable": unparseable} | (extra if name == "balanced_accuracy" else {})
        _set_floors(row, {floor: float(of(totals[floor])) for floor in ("majority", "shuffled")})
        row.fields["references"] = {"category_majority": float(of(totals["category_majority"]))}
        rows.append(row)
    return rows


def _fields(metric: str, group: Group, value: float) -> dict[str, Any]:
    return {
        "metric": metric,
        "question": group.question,
        "category": group.category,
        "value": value,
        "ci_low": None,
        "ci_high": None,
        "interval": None,
        "effective_n": None,
    }


def _set_floors(row: _Row, floors: dict[str, float]) -> None:
    row.fields["floors"] = floors
    row.fields["gain"] = row.fields["value"] - max(floors.values())


def _add_intervals(rows: Sequence[_Row], resamples: int, seed: int) -> None:
    """Overall and questions share resampled images; each category has its own."""
    batches: dict[str | None, list[tuple[dict[str, Any], Column | Statistic]]] = {}
    for row in rows:
        batch = batches.setdefault(row.group.category, [])
        if row.wanted is not None:
            batch.append((row.fields, row.wanted))
        batch += [(row.fields["macro"][over], statistic) for over, statistic in row.macros.items()]
    for batch in batches.values():
        found = intervals([wanted for _, wanted in batch], resamples=resamples, seed=seed)
        for (fields, _), interval in zip(batch, found, strict=True):
            if interval is not None:
                _set_interval(fields, interval)


def _set_interval(fields: dict[str, Any], interval: Interval) -> None:
    fields |= {"ci_low": interval.low, "ci_high": interval.high}
    if "interval" in fields:
        fields |= {"interval": interval.method, "effective_n": interval.effective_n}


def _facts(
    answers: Sequence[Answer], images: NDArray[np.int64], groups: Sequence[Group]
) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    """Counts, digest and alarms of each group, the same for every metric."""
    hashes = answer_hashes(answers)
    failed = np.array([answer.failed for answer in answers])
    empty = np.array([answer.empty for answer in answers])
    flat = alarms.collapse(answers)
    found = {}
    for group in groups:
        rows = np.flatnonzero(group.mask).tolist()
        counted = {"failed": int(failed[group.mask].sum()), "empty": int(empty[group.mask].sum())}
        found[group.key] = {
            "n": len(rows),
            "answered": len(rows) - counted["failed"],
            **counted,
            "images": count_images(images[group.mask]),
            "digest": digest(hashes[row] for row in rows),
            "alarms": alarms.coverage(len(rows), **counted) + [one for one in flat if _concerns(group, one)],
        }
    return found


def _concerns(group: Group, alarm: dict[str, Any]) -> bool:
    """A flat question's alarm stands in its own rows and in those of the whole."""
    return group.category is None and group.question in (None, alarm["question"])
