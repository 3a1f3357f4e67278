"""What a person is told of checked data before a job runs on them: how much there is, what is wrong and where."""

from __future__ import annotations

from backends.data.validate import DataReport

SHOWN = 5
"""Problems that are named; the rest is a number."""


def held(report: DataReport) -> str:
    """``480 questions about 60 images of 4 categories (chat)``."""
    parts = f"{_count(report.samples, 'question')} about {_count(report.images, 'image')}"
    known = [name for name in report.categories if name != "(none)"]
    several = "categories" if len(known) > 1 else "category"
    return f"{parts}{f' of {len(known)} {several}' if known else ''} ({report.format})"


def problems(report: DataReport) -> tuple[str, ...]:
    """What fails questions and not the job, the sum first; nothing where all images can be looked for."""
    bad = report.missing_images + report.refused_images
    if not bad:
        return ()
    kinds = {"missing or empty": report.missing_images, "not to be used": report.refused_images}
    said = ", ".join(f"{number:,} {word}" for word, number in kinds.items() if number)
    first = (
        f"{bad:,} of {_count(report.images, 'image')}: {said}; their questions fail, and a score counts them as wrong"
    )
    more = bad - len(report.problems[:SHOWN])
    return (first, *report.problems[:SHOWN], *([f"and {more:,} more"] if more > 0 else []))


def faults(report: DataReport) -> tuple[str, ...]:
    """Lines that no job can read, so that none is queued."""
    more = report.more_faults + len(report.faults[SHOWN:])
    return (*report.faults[:SHOWN], *([f"and {more:,} more lines that cannot be used"] if more else []))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
