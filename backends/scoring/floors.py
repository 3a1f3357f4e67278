"""Answers that need no image: what a score must beat before it says anything."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

from backends.scoring.answer import Answer
from backends.scoring.exact import normalise


def majority(answers: Sequence[Answer]) -> list[str]:
    """For each answer the most frequent reference of its question: a floor."""
    return _most_frequent(answers, lambda answer: answer.topic)


def category_majority(answers: Sequence[Answer]) -> list[str]:
    """For each answer the most frequent reference of its question within its category: it knows the folder."""
    return _most_frequent(answers, lambda answer: (answer.topic, answer.category))


def _most_frequent(answers: Sequence[Answer], group: Callable[[Answer], Hashable]) -> list[str]:
    """References that differ in case or spacing only count as one; among equals the alphabet decides, not the order."""
    wordings: defaultdict[Hashable, defaultdict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for answer in answers:
        wordings[group(answer)][normalise(answer.reference)][answer.reference] += 1
    top: dict[Hashable, str] = {}
    for key, by_text in wordings.items():
        commonest = min(by_text, key=lambda text: (-by_text[text].total(), text))
        spelled = by_text[commonest]
        top[key] = min(spelled, key=lambda text: (-spelled[text], text))
    return [top[group(answer)] for answer in answers]
