"""The floor ``shuffled``: the same answers, dealt out over the images at random within each question.

What is computed is the expectation over all permutations, not a mean of some: of a mean over answers it is the mean
over all pairs of an answer and a reference of the same question. Answers that have nothing to do with the images score
this on average, however varied they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backends.scoring.exact import normalise

Floats = NDArray[np.float64]

PAIRS = 200_000
"""More distinct pairs than this of one question are not all compared: then :data:`DRAWS` answers a reference."""
DRAWS = 25


def expected(
    said: Sequence[str], references: Sequence[str], value: Callable[[str, str], float], seed: int = 0
) -> Floats:
    """For each reference of one question the mean of ``value`` over all answers to it; an empty answer earns 0."""
    answers = Counter(said)
    answers.pop("", None)
    if len(answers) * len(set(references)) > PAIRS:
        return _drawn(said, references, value, seed)
    found = {
        reference: sum(count * value(text, reference) for text, count in answers.items()) / len(said)
        for reference in set(references)
    }
    return np.array([found[reference] for reference in references])


def _drawn(said: Sequence[str], references: Sequence[str], value: Callable[[str, str], float], seed: int) -> Floats:
    # The same number of times each answer, as in a permutation.
    rng = np.random.default_rng(seed)
    total = np.zeros(len(said))
    for _ in range(DRAWS):
        dealt = rng.permutation(len(said))
        total += [
            value(said[at], reference) if said[at] else 0.0 for at, reference in zip(dealt, references, strict=True)
        ]
    return total / DRAWS


def expected_exact(topics: Sequence[str], said: Sequence[str], references: Sequence[str]) -> Floats:
    """The same of exact matches, for all questions at once."""
    values = np.zeros(len(said))
    for rows in _by_topic(topics):
        answers = Counter(normalise(said[row]) for row in rows)
        answers.pop("", None)
        for row in rows:
            values[row] = answers[normalise(references[row])] / len(rows)
    return values


def expected_cosine(topics: Sequence[str], said: Floats, references: Floats) -> Floats:
    """The same of cosines, from unit vectors (n, dimensions); a row of zeros stands for no answer."""
    values = np.zeros(len(said))
    for rows in _by_topic(topics):
        values[rows] = references[rows] @ said[rows].mean(0)
    return values


def _by_topic(topics: Sequence[str]) -> Iterator[list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, topic in enumerate(topics):
        rows[topic].append(row)
    yield from rows.values()
