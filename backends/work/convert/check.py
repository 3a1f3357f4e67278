"""Whether an exported file still is the model: both are asked the same, and what differs is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from backends.data.sample import Sample
from backends.jobs.job import Job
from backends.models.base import VisionLanguageModel
from backends.models.openai_server import ServerModel
from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.groups import Group
from backends.scoring.intervals import Column
from backends.scoring.rows import Row, fields_of, finished, image_numbers
from backends.scoring.score import score_answers
from backends.scoring.values import said_of
from backends.work.asking import Asker, Asking
from backends.work.evaluate import is_overall, keep
from backends.work.predictions import Predictions
from backends.work.serving import ServerAsker

CLOSE = 0.9
"""A smaller share of equal answers is said as a warning."""


@dataclass(frozen=True)
class Compared:
    """``rows`` are scores of the exported file, each with the original's among its references."""

    items: int
    agreement: float
    original: Mapping[str, float]
    exported: Mapping[str, float]
    failed: int
    rows: list[dict[str, Any]]
    one_tile: Mapping[str, Any] | None = None
    """Beside the original without tiles: ``agreement`` and the ``original``'s scores. Tells tiles from export."""
    with_margins: Mapping[str, Any] | None = None
    """Asked with the original's white space around the image: ``agreement``, and ``exported`` scores."""

    @property
    def close(self) -> bool:
        return self.agreement >= CLOSE and not self.failed

    def facts(self) -> dict[str, Any]:
        """For the run's summary."""
        return {
            "items": self.items,
            "agreement": round(self.agreement, 6),
            "failed": self.failed,
            "original": dict(self.original),
            "exported": dict(self.exported),
            **({"one_tile": dict(self.one_tile)} if self.one_tile else {}),
            **({"with_margins": dict(self.with_margins)} if self.with_margins else {}),
        }

    def words(self) -> str:
        scores = ", ".join(f"{name} {self.original[name]:.3f} → {value:.3f}" for name, value in self.exported.items())
        failed = f", {self.failed} failed" if self.failed else ""
        words = f"the exported file gives the same answer to {self.agreement:.1%} of {self.items}{failed}; {scores}"
        if self.one_tile:
            words += f"; to {self.one_tile['agreement']:.1%} where the original sees no tiles either"
        if self.with_margins:
            words += (
                f"; to {self.with_margins['agreement']:.1%} where the request has a blank line before and after the "
                "image, as the original's processor writes it: so should the program that uses the file"
            )
        return words


def ask(job: Job, model: VisionLanguageModel, samples: Sequence[Sample], path: Path) -> list[Answer]:
    """Every sample's answer, in order; what stands in ``path`` already is not asked again."""
    predictions = Predictions(path)
    try:
        for results in _asker(job, model).run(samples, skip=frozenset(predictions.answers)):
            for asked in results:
                keep(predictions, asked)
    finally:
        predictions.close()
    return [predictions.answers[sample.id] for sample in samples]


def compared(
    job: Job,
    original: Sequence[Answer],
    exported: Sequence[Answer],
    *,
    one_tile: Sequence[Answer] | None = None,
    with_margins: Sequence[Answer] | None = None,
) -> Compared:
    """How far the two agree, answer by answer, and what each scores against the references.

    Args:
        one_tile: The original's answers where it saw no tiles, as the exported file does.
        with_margins: The exported file's answers to requests with the original's white space around the image.
    """
    embedder, seed = _embedder(job), int(job.spec.get("seed") or 0)
    scores = partial(score_answers, embedder=embedder, resamples=0, seed=seed)
    before = _overall(scores(original))
    rows = [row for row in score_answers(exported, embedder=embedder, seed=seed) if is_overall(row)]
    for row in rows:
        row["references"] = {**row["references"], "original": before[str(row["metric"])]}
    same = _same_answers(original, exported)
    alike = wide = None
    if one_tile is not None:
        alike = {"agreement": _agreement(one_tile, exported), "original": _overall(scores(one_tile))}
    if with_margins is not None:
        wide = {"agreement": _agreement(original, with_margins), "exported": _overall(scores(with_margins))}
    return Compared(
        items=len(exported),
        agreement=float(same.mean()),
        original=before,
        exported=_overall(rows),
        failed=sum(answer.failed for answer in exported),
        rows=[*rows, _agreement_row(exported, same, seed)],
        one_tile=alike,
        with_margins=wide,
    )


def _asker(job: Job, model: VisionLanguageModel) -> Asking:
    if isinstance(model, ServerModel):
        return ServerAsker(model, job.events.message)
    return Asker(model, int((job.spec.get("generation") or {}).get("batch_size") or 8))


def _same_answers(one: Sequence[Answer], other: Sequence[Answer]) -> Any:
    """1.0 where two answers are the same, else 0.0; (n,)."""
    return np.array([_same(*pair) for pair in zip(one, other, strict=True)], np.float64)


def _agreement(one: Sequence[Answer], other: Sequence[Answer]) -> float:
    return round(float(_same_answers(one, other).mean()), 6)


def _same(one: Answer, other: Answer) -> bool:
    """A failure agrees with nothing."""
    return not (one.failed or other.failed) and said_of([one]) == said_of([other])


def _agreement_row(answers: Sequence[Answer], same: Any, seed: int) -> dict[str, Any]:
    group = Group(None, None, np.ones(len(answers), dtype=np.bool_))
    images = image_numbers(answers)
    row = Row(group, Column(same, images, True), fields_of("agreement", group, float(same.mean())))
    row.fields |= {"floors": {}, "references": {}, "gain": None}
    return finished([row], answers, images, [group], {"partial": False}, seed=seed)[0]


def _overall(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {str(row["metric"]): float(row["value"]) for row in rows if is_overall(row)}


def _embedder(job: Job) -> Embedder | None:
    """Without the embedding the score is exact match alone."""
    name = (job.spec.get("scoring") or {}).get("embedding")
    try:
        return Embedder(name) if name else None
    except (EmbeddingError, ImportError) as error:
        job.events.message("info", f"scores are exact matches: {error}")
        return None
