"""Ask a model many questions in batches: bad images and hard questions fail alone, full memory halves the batch."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample
from backends.jobs.job import JobError
from backends.models.base import Reply, Request, VisionLanguageModel, question_messages

FAILURES_IN_A_ROW = 20
"""After so many questions that the model itself fails on, the fault is not in the data."""


@dataclass(frozen=True)
class Asked:
    """What came of one question: a reply, or why there is none. ``latency_s`` is the batch's time over its size."""

    sample: Sample
    reply: Reply | None
    latency_s: float | None
    error: str | None


class Asker:
    """Batches of at most ``batch_size``; the size stays halved after memory ran out (``halved`` counts how often)."""

    def __init__(self, model: VisionLanguageModel, batch_size: int) -> None:
        self.model = model
        self.batch_size = max(1, batch_size)
        self.halved = 0
        self._failed: list[Asked] = []

    def run(self, samples: Sequence[Sample], skip: Container[str] = ()) -> Iterator[list[Asked]]:
        """Yield results batch by batch, each sample once, those whose id is in ``skip`` left out.

        A batch that is done in part is asked whole: who shares a batch can move the last bits of a result, and a
        resumed run must give the answers of an uninterrupted one.

        Raises:
            JobError: the model failed on :data:`FAILURES_IN_A_ROW` questions with no success between.
            torch.OutOfMemoryError: one question alone does not fit.
        """
        at = 0
        while at < len(samples):
            batch = samples[at : at + self.batch_size]
            at += len(batch)
            if any(sample.id not in skip for sample in batch):
                yield [asked for asked in self._decoded(batch) if asked.sample.id not in skip]
        if self._failed:
            yield [asked for asked in self._failed if asked.sample.id not in skip]

    def _decoded(self, batch: Sequence[Sample]) -> list[Asked]:
        good: list[Sample] = []
        images: list[Image.Image] = []
        results: list[Asked] = []
        last: Sample | None = None
        for sample in batch:
            try:
                # The questions about one image follow each other: decode it once.
                same = last is not None and last.image_file == sample.image_file
                images.append(images[-1] if same else open_image(sample))
                good.append(sample)
                last = sample
            except ImageError as error:
                results.append(Asked(sample, None, None, sample.problem or f"{sample.image_path}: {_words(error)}"))
        return results + self._ask(good, images)

    def _ask(self, samples: Sequence[Sample], images: Sequence[Image.Image]) -> list[Asked]:
        if not samples:
            return []
        start = time.perf_counter()
        try:
            replies = self.model.ask(
                [
                    Request(image, question_messages(sample.question, sample.system))
                    for sample, image in zip(samples, images, strict=True)
                ]
            )
        except torch.OutOfMemoryError:
            if len(samples) == 1:
                raise
            self.batch_size = max(1, len(samples) // 2)
            self.halved += 1
            torch.cuda.empty_cache()
            return self._halves(samples, images)
        except (ValueError, RuntimeError, IndexError) as error:
            if len(samples) > 1:
                return self._halves(samples, images)
            return self._model_failed(samples[0], error)
        each = (time.perf_counter() - start) / len(samples)
        succeeded = [Asked(sample, reply, each, None) for sample, reply in zip(samples, replies, strict=True)]
        failed, self._failed = self._failed, []
        return failed + succeeded

    def _halves(self, samples: Sequence[Sample], images: Sequence[Image.Image]) -> list[Asked]:
        half = len(samples) // 2
        return self._ask(samples[:half], images[:half]) + self._ask(samples[half:], images[half:])

    def _model_failed(self, sample: Sample, error: Exception) -> list[Asked]:
        # Kept back until a success shows that the model itself works: a resumed run must ask these again.
        self._failed.append(Asked(sample, None, None, _words(error)))
        if len(self._failed) >= FAILURES_IN_A_ROW:
            raise JobError(
                f"the model failed on {len(self._failed)} questions in a row: {_words(error)}",
                "see the log; the model or its processor does not fit these images",
            ) from error
        return []


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
