"""A model on a server of the OpenAI protocol: asked again after a while where that helps, stopped where it does not."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, Protocol

from backends.jobs.job import JobError
from backends.jobs.servers import Server
from backends.models.base import Generation, Reply, Request
from backends.models.openai_http import Again, Connection, Refused
from backends.models.openai_wire import Answered, data_url, payload
from backends.models.prompts import with_margins

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0


class Book(Protocol):
    """Where requests are counted; ``begin`` may refuse one by raising."""

    def begin(self, sample_id: str) -> int: ...
    def answered(self, number: int, answer: Answered, seconds: float) -> None: ...
    def failed(self, number: int, words: str, *, given_back: bool) -> None: ...
    def summary(self) -> dict[str, Any]: ...


class Stopped(Exception):
    """It was told to stop before this question was answered."""


class GivenUp(Exception):
    """No answer after all tries; the text says what came of the last."""


@dataclass(frozen=True)
class ServerReply(Reply):
    """With what the server alone knows."""

    seconds: float = 0.0
    """Of the try that was answered."""
    first_token_s: float | None = None
    finish: str | None = None


class Gate:
    """Keeps all threads from asking for a while, because the server wants so; ``stop`` ends every wait."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._opens = 0.0
        self._stop = Event()
        # Its own generator: what the job samples must not depend on how often a server was busy.
        self._random = random.Random()

    def close(self, seconds: float) -> None:
        with self._lock:
            self._opens = max(self._opens, time.monotonic() + seconds)

    def wait(self) -> None:
        """Until it is open.

        Raises:
            Stopped: See :meth:`stop`.
        """
        while (left := self._opens - time.monotonic()) > 0:
            self.sleep(left + self._random.uniform(0, min(1.0, left / 10)))
        if self._stop.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def back_off(self, tries: int) -> float:
        """Twice as long each time, and for each thread another time."""
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**tries) * self._random.uniform(0.5, 1.0)

    def stop(self) -> None:
        self._stop.set()

    def reopen(self) -> None:
        """After a stop, for other questions; what the server has asked for still holds."""
        self._stop.clear()


class ServerModel:
    """Satisfies :class:`backends.models.base.VisionLanguageModel`; :meth:`ask_one` may be called by many threads."""

    def __init__(self, server: Server, key: str | None, generation: Generation, book: Book) -> None:
        self.server = server
        self.generation = generation
        self.book = book
        self.stream = False
        """Ask for streamed answers, which tell the time to the first token."""
        self.margins = ("", "")
        """Text before and after every image, for a model that learned so and a server that does not write it."""
        self.gate = Gate()
        self._connection = Connection(server, key)

    @property
    def device(self) -> str:
        return f"{self.server.host} {self.server.model}"

    @property
    def revision(self) -> str | None:
        """What the server called the model."""
        return next(iter(self.book.summary()["models"]), None)

    def check(self) -> None:
        """See that the server is there and lets us in, before any image is sent.

        Raises:
            JobError: It is not, or does not.
        """
        for tries in range(self.server.retries + 1):
            try:
                self._connection.check()
                return
            except Again as error:
                if tries == self.server.retries:
                    raise JobError(str(error), _LATER) from None
                self.gate.sleep(self.gate.back_off(tries))

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        """One after the other."""
        return [self.ask_one(request, "") for request in batch]

    def ask_one(self, request: Request, sample_id: str) -> ServerReply:
        """One answer, after as many tries as it may take.

        Raises:
            Refused, GivenUp: There is none to this question.
            Stopped: It was told to stop.
            JobError: There is none to any question.
            Exception: Whatever the book refuses with.
        """
        image = data_url(request.image, self.server)
        messages = with_margins(request.messages, *self.margins) if any(self.margins) else request.messages
        body = payload(self.server, self.generation, messages, image, self.stream)
        failures, waits, waited = 0, 0, 0.0
        while True:
            self.gate.wait()
            number = self.book.begin(sample_id)
            try:
                return self._once(body, number)
            except Again as error:
                given_back = error.limited or not error.reached
                self.book.failed(number, str(error), given_back=given_back)
                failures, waits = failures + (not error.limited), waits + error.limited
                if failures > self.server.retries:
                    if not error.reached:
                        raise JobError(str(error), _LATER) from None
                    raise GivenUp(f"no answer after {failures} tries: {error}") from None
                delay = self.gate.back_off(waits if error.limited else failures)
                if error.after is not None:
                    delay = max(error.after, 0.05)
                waited += delay if error.limited else 0
                self._check_wait(max(delay, waited), error)
                if error.limited or error.after is not None:
                    self.gate.close(delay)  # for all: the limit is that of the key
                else:
                    self.gate.sleep(delay)
            except (Refused, JobError) as error:
                self.book.failed(number, str(error), given_back=False)
                raise

    def start(self) -> None:
        self.gate.reopen()

    def stop(self) -> None:
        """What is on its way is waited for; nothing more is sent."""
        self.gate.stop()

    def unload(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _once(self, body: dict[str, Any], number: int) -> ServerReply:
        start = time.perf_counter()
        answer, pause = self._connection.post(body)
        seconds = time.perf_counter() - start
        self.book.answered(number, answer, seconds)
        if pause is not None:
            self.gate.close(min(pause, self.server.max_wait_s))
        text = self._connection.without_key(answer.text)
        return ServerReply(text, answer.output_tokens, seconds, answer.first_token_s, answer.finish)

    def _check_wait(self, seconds: float, error: Again) -> None:
        if seconds > self.server.max_wait_s:
            raise JobError(
                f"{self.server.host} wants {seconds:.0f} s of waiting, more than max_wait_s "
                f"{self.server.max_wait_s:g} ({error})",
                _LATER,
            )


_LATER = "resume the run later: what was answered is kept"
