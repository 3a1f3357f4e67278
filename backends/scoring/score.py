"""The scores of a set of answers, each with its interval, floors and alarms, ready for scores.json and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring import normality, vocabulary
from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder
from backends.scoring.groups import Group, groups_of
from backends.scoring.resampling import Statistic
from backends.scoring.rows import RESAMPLES, Row, fields_of, finished, image_numbers, mean_row, set_floors
from backends.scoring.topics import NORMALITY
from backends.scoring.values import (
    TEXT_ONLY,
    Values,
    cosine_values,
    exact_values,
    keyword_values,
    said_of,
    topic_values,
)
from backends.scoring.values import yardsticks as texts_of

VERSION = 4
"""Changes whenever the same answers would score differently."""
KINDS = ("gt", "proxy")


def score_answers(
    answers: Sequence[Answer],
    *,
    kind: str = "gt",
    embedder: Embedder | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
    progress: Callable[[int, int], None] | None = None,
    text_only: Mapping[str, str] | None = None,
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
        text_only: What the same model answered without seeing the image, by id: a floor of that name.

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
    images = image_numbers(answers)
    groups = groups_of(answers)
    texts = texts_of(answers, text_only)
    measured: list[Values]
    if kind == "proxy":
        measured = [keyword_values(answers, texts, seed)]
    else:
        cosine = [cosine_values(answers, texts, embedder, progress)] if embedder is not None else []
        measured = [*cosine, exact_values(answers, texts)]
    rows = [mean_row(one, group, groups, images) for one in measured for group in groups]
    if kind == "gt" and not partial:
        for group in groups:
            rows += _topic_rows(answers, texts, group, images, seed)
    shared = {"scorer": VERSION, "synonyms": vocabulary.version(), "partial": partial}
    return finished(rows, answers, images, groups, shared, resamples=resamples, seed=seed)


def _topic_rows(
    answers: Sequence[Answer], texts: dict[str, list[str]], group: Group, images: NDArray[np.int64], seed: int
) -> list[Row]:
    """Of one question's group: the rows of its own metrics."""
    if group.question == NORMALITY:
        return _normality_rows(answers, texts, group, images)
    values = topic_values(answers, texts, group, seed)
    return [] if values is None else [mean_row(values, group, (), images)]


def _normality_rows(
    answers: Sequence[Answer], texts: dict[str, list[str]], group: Group, images: NDArray[np.int64]
) -> list[Row]:
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
        row = Row(group, wanted, fields_of(name, group, float(of(totals["own"]))))
        row.fields |= {"unparseable": unparseable} | (extra if name == "balanced_accuracy" else {})
        set_floors(
            row, {floor: float(of(totals[floor])) for floor in ("majority", "shuffled", TEXT_ONLY) if floor in totals}
        )
        row.fields["references"] = {"category_majority": float(of(totals["category_majority"]))}
        rows.append(row)
    return rows
