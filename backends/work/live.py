"""Scores that grow while a run goes on, taken in a thread of their own beside the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

from backends.scoring.answer import Answer
from backends.work.common import Throttle

SCORE_EVERY_S = 2.0
CHUNK = 64

Rows = list[dict[str, Any]]


class LiveScores:
    """Takes in answers in the order of the data, so that what is scored early is whole images with all their questions.

    Used as a context: leaving it waits for the last scores, or for nothing where an error ends the run.

    Args:
        ids: Of all samples, in the order of the data.
        measure: Scores the answers so far; takes its time.
        tell: Is given each of the scores.
        take_in: Called with each chunk of answers first. Chunks depend on the data alone, not on time or on where a
            run was interrupted, so that what is computed chunk by chunk (embeddings) is the same to the last bit.
    """

    def __init__(
        self,
        ids: Sequence[str],
        measure: Callable[[Sequence[Answer]], Rows],
        tell: Callable[..., None],
        take_in: Callable[[Sequence[Answer]], object] = lambda answers: None,
    ) -> None:
        self._ids = ids
        self._measure = measure
        self._tell = tell
        self._take_in = take_in
        self._at = 0
        self._chunks: SimpleQueue[list[Answer] | None] = SimpleQueue()
        self._answers: list[Answer] = []
        self._told = 0
        self._hurried = False
        self._error: Exception | None = None
        self._thread = Thread(target=self._work, name="scores", daemon=True)

    def feed(self, answers: Mapping[str, Answer]) -> None:
        """Hand over what has become whole in ``answers`` (all so far, by id).

        Raises:
            Exception: what went wrong in the thread.
        """
        if self._error is not None:
            raise self._error
        while self._at < len(self._ids):
            chunk = self._ids[self._at : self._at + CHUNK]
            if not all(one in answers for one in chunk):
                return
            self._chunks.put([answers[one] for one in chunk])
            self._at += len(chunk)

    def hurry(self) -> None:
        """Take in nothing more: the run is to stop."""
        self._hurried = True

    def __enter__(self) -> LiveScores:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hurried = self._hurried or kind is not None
        self._chunks.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _work(self) -> None:
        throttle = Throttle(SCORE_EVERY_S, at_once=False)
        try:
            while (chunk := self._chunks.get()) is not None:
                if self._hurried:
                    continue
                self._take_in(chunk)
                self._answers += chunk
                if throttle.ready():
                    start = time.perf_counter()
                    self._score()
                    throttle.spent(time.perf_counter() - start)
            self._score()
        except Exception as error:  # noqa: BLE001 - raised where the answers come from
            self._error = error

    def _score(self) -> None:
        if len(self._answers) > self._told:
            self._told = len(self._answers)
            for row in self._measure(self._answers):
                self._tell(**row)
