"""What a set of samples holds, per category and per question: shown before a fine-tune starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backends.data.door import open_data
from backends.data.sample import Sample

NO_CATEGORY = "(none)"
"""The category of images that lie in no folder."""


@dataclass(frozen=True)
class Composition:
    """Counts of samples (questions), and of distinct images."""

    samples: int
    images: int
    categories: dict[str, int]
    topics: dict[str, int]
    cells: dict[tuple[str, str], int]
    """(category, topic) to count; combinations that do not occur are absent."""


def composition(samples: Iterable[Sample]) -> Composition:
    """Count, in one pass; keys are sorted."""
    cells: Counter[tuple[str, str]] = Counter()
    images: set[str] = set()
    for sample in samples:
        cells[sample.category or NO_CATEGORY, sample.topic] += 1
        images.add(sample.image_path)
    categories: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    for (category, topic), count in cells.items():
        categories[category] += count
        topics[topic] += count
    return Composition(
        samples=cells.total(),
        images=len(images),
        categories=dict(sorted(categories.items())),
        topics=dict(sorted(topics.items())),
        cells=dict(sorted(cells.items())),
    )


def composition_of(
    path: Path, kind: str | None = None, image_root: Path | None = None, limit: int | None = None, seed: int = 0
) -> Composition:
    """What of a data file ``limit`` and ``seed`` take; the arguments are those of ``open_data``.

    A validated file's report has its composition already: see :func:`backends.data.validate.inspect`.

    Raises:
        backends.data.errors.DataError: there is nothing to read, or a line is no sample.
    """
    return composition(open_data(path, kind, image_root, limit, seed))


def composition_warnings(training: Composition, evaluation: Composition) -> list[str]:
    """What the evaluation asks and the training never shows: categories, questions, then single combinations."""
    categories = [name for name in evaluation.categories if name not in training.categories]
    topics = [name for name in evaluation.topics if name not in training.topics]
    warnings = []
    if categories:
        total = len(evaluation.categories)
        warnings.append(f"training lacks {len(categories)} of {total} evaluated categories: {', '.join(categories)}")
    if topics:
        total = len(evaluation.topics)
        warnings.append(f"training lacks {len(topics)} of {total} evaluated questions: {', '.join(topics)}")
    cells = [
        f"{category} {topic}"
        for category, topic in evaluation.cells
        if (category, topic) not in training.cells and category not in categories and topic not in topics
    ]
    if cells:
        warnings.append(f"training lacks these questions of a category: {', '.join(cells)}")
    return warnings


def composition_rows(counts: Composition, most: int = 8) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table: its head, then a row a category and one of the sums; the ``most`` commonest questions are columns."""
    chosen = sorted(counts.topics, key=lambda topic: (-counts.topics[topic], topic))[:most]
    topics = [topic for topic in counts.topics if topic in chosen]
    rest = len(counts.topics) - len(topics)
    head = ("category", "questions", *topics, *((f"{rest} more",) if rest else ()))

    def row(name: str, total: int, cells: list[int]) -> tuple[str, ...]:
        left = (f"{total - sum(cells):,}",) if rest else ()
        return (name, f"{total:,}", *(f"{cell:,}" if cell else "–" for cell in cells), *left)

    rows = [
        row(name, total, [counts.cells.get((name, topic), 0) for topic in topics])
        for name, total in counts.categories.items()
    ]
    return head, [*rows, row("all", counts.samples, [counts.topics[topic] for topic in topics])]
