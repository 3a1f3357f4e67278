"""Ask a model many questions in batches: bad images and hard questions fail alone, full memory halves the batch."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Container, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from backends.data.images import ImageError
from backends.data.sample import Sample
from backends.jobs.job import JobError
from backends.models.base import Preparing, Reply, Request, VisionLanguageModel, question_messages
from backends.work.ahead import ImageCache, ahead
from backends.work.batches import Batch, BatchPlan
from backends.worker import out_of_memory

FAILURES_IN_A_ROW = 20
"""After so many questions that the model itself fails on, the fault is not in the data."""
READERS = 4
"""Threads that decode and preprocess for a card; beside a model on the CPU one is enough."""


@dataclass(frozen=True)
class Asked:
    """What came of one question: a reply, or why there is none. ``latency_s`` is the batch's time over its size."""

    sample: Sample
    reply: Reply | None
    latency_s: float | None
    error: str | None


@dataclass
class _Prepared:
    """A batch whose images are decoded; those that cannot be are in ``failed``."""

    samples: list[Sample] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    failed: list[Asked] = field(default_factory=list)
    inputs: Any = None
    """What the model's ``prepare`` made of the requests; None where it failed or there is nothing to prepare."""


class Asking(Protocol):
    """What asks many questions: of a model that is loaded here, or of one on a server."""

    batch_size: int
    halved: int
    ended: str | None
    """Why it ended before all was asked, where that is no fault."""

    def run(self, samples: Sequence[Sample], skip: Container[str] = ()) -> Generator[list[Asked]]: ...

    def rest(self) -> list[Asked]:
        """Begin nothing more; the results of what has begun."""

    def facts(self) -> dict[str, Any]:
        """For the run's summary."""


class Asker:
    """Batches of at most ``batch_size``; the size stays halved after memory ran out (``halved`` counts how often).

    Images are decoded and preprocessed ahead in threads while the model answers.

    Args:
        remember: File that keeps the batch sizes for a run that goes on later, see :class:`BatchPlan`.
        seed: Of sampling: each batch draws from its own, so that a resumed run samples the same answers. None leaves
            the generator alone.
    """

    def __init__(
        self, model: VisionLanguageModel, batch_size: int, *, remember: Path | None = None, seed: int | None = None
    ) -> None:
        self.model = model
        self.batch_size = max(1, batch_size)
        self.halved = 0
        self.ended: str | None = None
        self._remember = remember
        self._seed = seed
        self._readers = min(READERS, os.cpu_count() or 1) if model.device.startswith("cuda") else 1
        self._failed: list[Asked] = []

    def run(self, samples: Sequence[Sample], skip: Container[str] = ()) -> Generator[list[Asked]]:
        """Yield results batch by batch, each sample once, those whose id is in ``skip`` left out.

        A batch that is done in part is asked whole: who shares a batch can move the last bits of a result, and a
        resumed run must give the answers of an uninterrupted one.

        Raises:
            JobError: the model failed on :data:`FAILURES_IN_A_ROW` questions with no success between.
            torch.OutOfMemoryError: one question alone does not fit (or what else full memory raises).
        """
        plan = BatchPlan(samples, self.batch_size, self._remember)
        first = next(plan.batches(skip), None)
        if first is not None and self.batch_size < plan.batch_size:
            plan.shrink(first.start, self.batch_size)
        self.batch_size = plan.batch_size
        self._failed = []
        start = 0
        while (full := (yield from self._until_full(plan, skip, start))) is not None:
            self.batch_size = len(full.samples) // 2
            self.halved += 1
            start = full.start
            plan.shrink(start, self.batch_size)
            gc.collect()
            torch.cuda.empty_cache()
        if self._failed:
            yield [asked for asked in self._failed if asked.sample.id not in skip]

    def rest(self) -> list[Asked]:
        """A batch is whole or was not begun."""
        return []

    def facts(self) -> dict[str, Any]:
        return {}

    def _until_full(
        self, plan: BatchPlan, skip: Container[str], start: int
    ) -> Generator[list[Asked], None, Batch | None]:
        """Ask from ``start`` on; returns the batch for which there was no memory, None after the last."""
        images = ImageCache()
        batches = plan.batches(skip, start)
        with closing(ahead(lambda batch: self._prepare(batch, images), batches, self._readers)) as prepared:
            for batch, future in prepared:
                results = self._answer(batch, future)
                if results is None:
                    return batch
                yield [asked for asked in results if asked.sample.id not in skip]
        return None

    def _prepare(self, batch: Batch, images: ImageCache) -> _Prepared:
        """Called in threads."""
        prepared = _Prepared()
        for sample in batch.samples:
            try:
                image = images.open(sample)
            except ImageError as error:
                prepared.failed.append(Asked(sample, None, None, image_failure(sample, error)))
            else:
                prepared.samples.append(sample)
                prepared.requests.append(Request(image, question_messages(sample.question, sample.system)))
        if prepared.requests and isinstance(self.model, Preparing):
            try:
                prepared.inputs = self.model.prepare(prepared.requests)
            except Exception as error:  # the questions will be prepared one by one, and those that fail then are told
                if out_of_memory(error):
                    raise
        return prepared

    def _answer(self, batch: Batch, future: Future[_Prepared]) -> list[Asked] | None:
        """What came of each question; None where memory is full and a smaller batch may fit."""
        failed = list(self._failed)
        if self._seed is not None:
            torch.manual_seed(self._seed * 1_000_003 + batch.start)
        try:
            prepared = future.result()
            return prepared.failed + self._ask(prepared.samples, prepared.requests, prepared.inputs)
        except Exception as error:
            if len(batch.samples) == 1 or not out_of_memory(error):
                raise
        # Outside of the handler: until here the traceback has held on to the tensors.
        self._failed = failed
        return None

    def _ask(self, samples: Sequence[Sample], requests: Sequence[Request], inputs: Any = None) -> list[Asked]:
        if not samples:
            return []
        start = time.perf_counter()
        try:
            replies = self._replies(requests, inputs)
        except Exception as error:
            if isinstance(error, JobError) or out_of_memory(error):
                raise
            if len(samples) == 1:
                return self._model_failed(samples[0], error)
        else:
            each = (time.perf_counter() - start) / len(samples)
            succeeded = [Asked(sample, reply, each, None) for sample, reply in zip(samples, replies, strict=True)]
            failed, self._failed = self._failed, []
            return failed + succeeded
        half = len(samples) // 2
        return self._ask(samples[:half], requests[:half]) + self._ask(samples[half:], requests[half:])

    def _replies(self, requests: Sequence[Request], inputs: Any) -> list[Reply]:
        if inputs is not None and isinstance(self.model, Preparing):
            return self.model.answer(inputs)
        return self.model.ask(requests)

    def _model_failed(self, sample: Sample, error: Exception) -> list[Asked]:
        # Kept back until a success shows that the model itself works: a resumed run must ask these again.
        self._failed.append(Asked(sample, None, None, _words(error)))
        if len(self._failed) >= FAILURES_IN_A_ROW:
            raise JobError(
                f"the model failed on {len(self._failed)} questions in a row: {_words(error)}",
                "see the log; the model or its processor does not fit these images",
            ) from error
        return []


def image_failure(sample: Sample, error: ImageError) -> str:
    text = str(error)
    return text if sample.problem or text.startswith(sample.image_path) else f"{sample.image_path}: {text}"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
