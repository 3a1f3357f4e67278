"""The scores of a run on FETAL-GAUGE (arXiv 2512.22278): accuracy over shuffled options, also corrected for chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends.scoring import alarms
from backends.scoring.answer import Answer
from backends.scoring.choice import LETTERS, chosen
from backends.scoring.exact import normalise
from backends.scoring.floors import majority
from backends.scoring.groups import Group, groups_of
from backends.scoring.published import beside, references
from backends.scoring.rows import RESAMPLES, Row, finished, image_numbers, mean_row
from backends.scoring.shuffled import expected_exact
from backends.scoring.values import Values, said_of

VERSION = 1
"""Changes whenever the same answers would score differently."""
RANDOM = "Random guess"
TASKS = ("PI", "VC", "FO", "CD", "VG")
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Question:
    """What the answer key has: the options as they were shown, the index of the right one, and what slices go by."""

    options: tuple[str, ...]
    answer: int
    source: str | None = None
    box_size: str | float | None = None


def score_gauge(
    answers: Sequence[Answer],
    key: Mapping[str, Question],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
) -> list[dict[str, Any]]:
    """Score answers whose topic is the task; each must have its question in ``key``.

    Returns:
        Rows as :func:`backends.scoring.score.score_answers` gives them: ``accuracy`` over all (micro; its ``macro`` is
        the mean of the tasks), a task each (as question), and slices as categories, "source …" and "box …" (a number is
        a size among the run's own: thirds). A reply that takes no option counts as wrong and as ``unparseable``. Then
        ``chance_corrected`` of each: (accuracy - chance) / (1 - chance), 0 for a guess, 1 for an oracle, which is
        comparable between questions of two and of five options. Floors: ``majority`` (the most frequent right text of
        the task), ``shuffled`` (the texts taken, dealt out within the task), ``chance`` (one of the options).
        References: ``published_random``, ``published_best`` (zero-shot; second-hand).
    """
    answers = sorted((answer for answer in answers if answer.id in key), key=lambda answer: answer.id)
    if not answers:
        return []
    questions = [key[answer.id] for answer in answers]
    read = [_read(answer, question) for answer, question in zip(answers, questions, strict=True)]
    groups = _groups(answers, questions)
    values = _values(answers, questions, read)
    images = image_numbers(answers)
    rows: list[Row] = []
    for group in groups:
        row = mean_row(values, group, groups, images)
        row.fields["references"] = {}
        if group.category is None:
            column = f"{(group.question or 'overall').lower()}_acc"
            row.fields["references"] = references("fetal-gauge", column, RANDOM) if _known(group.question) else {}
        rows.append(row)
    shared = {"scorer": VERSION, "partial": partial}
    flat = _collapse(answers, questions, read)
    done = finished(rows, answers, images, groups, shared, resamples=resamples, seed=seed, flat=flat)
    return [*done, *map(_corrected, done)]


def leaderboard(rows: Sequence[Mapping[str, Any]], model: str) -> list[dict[str, Any]]:
    """The published table with this run's row, best overall accuracy first; a task that the run lacks is None."""
    own: dict[str, Any] = {"model": model, "setting": "own"}
    for row in rows:
        if row["metric"] == "accuracy" and row["category"] is None:
            own[f"{(row['question'] or 'overall').lower()}_acc"] = row["value"]
    return beside("fetal-gauge", own, by="overall_acc")


def is_right(answer: Answer, question: Question) -> bool:
    """Whether the answer takes the right option."""
    return _read(answer, question) == question.answer


def _known(task: str | None) -> bool:
    return task is None or task in TASKS


def _read(answer: Answer, question: Question) -> int | None:
    return None if answer.failed or answer.empty else chosen(answer.prediction or "", question.options)


def _values(answers: Sequence[Answer], questions: Sequence[Question], read: Sequence[int | None]) -> Values:
    topics = [answer.topic for answer in answers]
    taken = ["" if at is None else question.options[at] for at, question in zip(read, questions, strict=True)]
    right = [question.options[question.answer] for question in questions]
    told = [replace(answer, reference=text) for answer, text in zip(answers, right, strict=True)]
    top = majority(told)
    floors = {
        "majority": np.array([normalise(a) == normalise(b) for a, b in zip(top, right, strict=True)], np.float64),
        "shuffled": expected_exact(topics, taken, right),
        "chance": np.array([1 / len(question.options) for question in questions]),
    }
    own = np.array([at == question.answer for at, question in zip(read, questions, strict=True)], np.float64)
    unparseable = np.array([bool(text) and at is None for text, at in zip(said_of(answers), read, strict=True)])
    return Values("accuracy", own, floors, {}, unparseable)


def _groups(answers: Sequence[Answer], questions: Sequence[Question]) -> list[Group]:
    """All, the tasks, and the slices by source and box size instead of the images' folders."""
    groups = groups_of([replace(answer, category=None) for answer in answers])
    sources = [None if question.source is None else f"source {question.source}" for question in questions]
    for labels in (sources, _sizes([question.box_size for question in questions])):
        column = np.array(labels, dtype=object)
        groups += [Group(None, label, column == label) for label in sorted({one for one in labels if one is not None})]
    return groups


def _sizes(values: Sequence[str | float | None]) -> list[str | None]:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    bounds = np.quantile(numbers, [1 / 3, 2 / 3]) if numbers else np.zeros(2)
    return [
        None if value is None else f"box {value if isinstance(value, str) else SIZES[int((bounds < value).sum())]}"
        for value in values
    ]


def _collapse(
    answers: Sequence[Answer], questions: Sequence[Question], read: Sequence[int | None]
) -> list[dict[str, Any]]:
    """One letter for every image, or one text: options are shuffled, so that each shows only as itself."""
    found: dict[str, dict[str, Any]] = {}
    ways: tuple[Callable[[Question, int], str], ...] = (
        lambda question, at: LETTERS[at],
        lambda question, at: question.options[at],
    )
    for way in ways:
        shown = [
            replace(
                answer,
                reference=way(question, question.answer),
                prediction=answer.prediction if at is None else way(question, at),
            )
            for answer, question, at in zip(answers, questions, read, strict=True)
        ]
        for alarm in alarms.collapse(shown):
            found.setdefault(alarm["question"], alarm)
    return list(found.values())


def _corrected(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the accuracy corrected for its own chance; a straight line, so that its interval is one too."""
    chance = row["floors"]["chance"]

    def scale(value: float | None) -> float | None:
        return None if value is None else (value - chance) / (1 - chance)

    fields = {key: scale(row[key]) for key in ("value", "ci_low", "ci_high")}
    floors = {name: scale(value) for name, value in row["floors"].items()}
    told = {name: scale(value) for name, value in row["references"].items()}
    left = {key: value for key, value in row.items() if key not in ("micro", "macro")}
    gain = row["gain"] / (1 - chance)
    return {**left, **fields, "metric": "chance_corrected", "floors": floors, "references": told, "gain": gain}
