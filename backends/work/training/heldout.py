"""Scores of the model in training on held-out questions, by the scorer of a ``gt`` evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backends.data.sample import Sample
from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.models.transformers_loader import TransformersModel
from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.score import score_answers
from backends.work.asking import Asker
from backends.work.evaluate import is_overall
from backends.work.trained import Trained

EMBEDDING = "all-MiniLM-L6-v2"
HISTORY = "held_out.json"
"""In the run's directory: the score of each step so far, for early stopping after a resume."""


@dataclass(frozen=True)
class Scored:
    """The overall scores at one step, the first of them the one that counts: cosine, or exact without an embedding."""

    step: int
    values: dict[str, float]

    @property
    def rank(self) -> tuple[float, ...]:
        """What is compared: the score that counts, and the others where it is equal.

        An embedding differs in its last digits by what else is embedded with it.
        """
        return tuple(round(value, 6) for value in self.values.values())

    def words(self) -> str:
        return f"{', '.join(f'{name} {value:.3f}' for name, value in self.values.items())} at step {self.step}"


class HeldOut:
    """Asks the model as it is every held-out question; called with the step.

    Args:
        going_on_from: The step that a resumed training goes on from; what was scored later will be scored again.
    """

    def __init__(
        self, job: Job, model: TransformersModel, samples: Sequence[Sample], shared: Trained, going_on_from: int = 0
    ) -> None:
        self.job = job
        self.samples = samples
        self.shared = shared
        self.asker = Asker(model, int((job.spec.get("generation") or {}).get("batch_size") or 32))
        self.model = model
        self.embedder = _embedder(job)
        self.history = [scored for scored in _history(job) if scored.step <= going_on_from]
        self._answers: list[Answer] = []

    @property
    def last(self) -> Scored | None:
        return self.history[-1] if self.history else None

    @property
    def best(self) -> Scored | None:
        """The earliest of the best."""
        return max(self.history, key=lambda scored: scored.rank, default=None)

    @property
    def without_gain(self) -> int:
        """How many scores have come since the best one."""
        return len(self.history) - 1 - self.history.index(self.best) if self.best else 0

    def __call__(self, step: int) -> Scored:
        self.model.model.eval()
        self._answers = [
            Answer(
                id=asked.sample.id,
                image_path=asked.sample.image_path,
                category=asked.sample.category,
                topic=asked.sample.topic,
                reference=asked.sample.reference,
                prediction=asked.reply.text if asked.reply else None,
                error=asked.error,
            )
            for results in self.asker.run(self.samples)
            for asked in results
        ]
        self.model.model.train()
        rows = self._scores(step, resamples=0, partial=True)
        for row in rows:
            self.job.events.score(**row)
            self.job.events.metric(f"eval_{row['metric']}", row["value"], step)
        scored = Scored(step, {str(row["metric"]): float(row["value"]) for row in rows})
        self.history = [*(one for one in self.history if one.step < step), scored]
        write_json(self.job.dir / HISTORY, {"scores": [{"step": one.step, **one.values} for one in self.history]})
        return scored

    def final(self) -> list[dict[str, Any]]:
        """The overall rows of the last call, with full intervals; of a resumed run that scored nothing, none."""
        return self._scores(self.last.step, seed=int(self.job.spec.get("seed") or 0)) if self.last else []

    def _scores(self, step: int, **options: Any) -> list[dict[str, Any]]:
        rows = score_answers(self._answers, kind="gt", embedder=self.embedder, **options)
        return [
            {**row, "step": step, "split": "held-out"}
            for row in self.shared.mark(rows, self._answers)
            if is_overall(row)
        ]


def _history(job: Job) -> list[Scored]:
    rows = (read_json(job.dir / HISTORY) or {}).get("scores") or []
    return [Scored(int(row["step"]), {key: value for key, value in row.items() if key != "step"}) for row in rows]


def _embedder(job: Job) -> Embedder | None:
    """The embedding of `gt` evaluations; without it the score is exact match."""
    try:
        return Embedder((job.spec.get("scoring") or {}).get("embedding") or EMBEDDING)
    except (EmbeddingError, ImportError) as error:
        job.events.message("info", f"held-out scores are exact matches: {error}")
        return None
