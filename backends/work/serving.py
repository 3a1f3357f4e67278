"""Asking a model on a server: requests in flight instead of batches, what comes is kept as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from backends.data.images import ImageError
from backends.data.sample import Sample
from backends.jobs.consent import covers
from backends.jobs.errors import QueueError
from backends.jobs.job import Job, JobError
from backends.jobs.keys import take_key
from backends.jobs.servers import from_spec
from backends.models.base import Request, VisionLanguageModel, question_messages
from backends.models.openai_http import Refused
from backends.models.openai_server import GivenUp, ServerModel, Stopped
from backends.work.ahead import ImageCache
from backends.work.asking import FAILURES_IN_A_ROW, Asked, image_failure
from backends.work.common import generation_of, load_model
from backends.work.ledger import BudgetUsed, Ledger

POLL_S = 0.2
Tell = Callable[[str, str], None]


def open_model(job: Job) -> VisionLanguageModel:
    """The model of a spec: loaded here, in this environment of its own, or on its server.

    Raises:
        JobError: It cannot be used.
    """
    if job.spec.get("server"):
        return open_server(job)
    if job.spec["model"].get("environment"):
        from backends.models.remote_code import load_remote

        return load_remote(job, generation_of(job.spec))
    return load_model(job, generation_of(job.spec))


def open_server(job: Job) -> ServerModel:
    """The server of a spec, which is there and lets us in; nothing of the data was sent yet.

    Raises:
        JobError: Nobody agreed to send these data there, the key is not set, or the server cannot be used.
    """
    part = job.spec["server"]
    server, generation = from_spec(part), generation_of(job.spec)
    if not covers(server, part.get("consent"), job.spec["data"].get("sha256")):
        raise JobError(
            f"nobody has agreed that the images of {job.spec['data']['path']} go to {server.host}",
            "queue it again with --send-images",
        )
    try:
        key = take_key(job.home, server.key_env, os.environ)
    except QueueError as error:
        where = f"{error.where}: " if error.where else ""
        raise JobError(f"{where}{error.message}", error.hint) from error
    ledger = Ledger(job.dir / "requests.jsonl", server, generation.max_new_tokens)
    model = ServerModel(server, key, generation, ledger)
    model.check()
    return model


class ServerAsker:
    """As :class:`backends.work.asking.Asker`, with up to the server's ``concurrency`` questions in flight.

    They are begun in the order of the data. A failure is held back until a question after it is answered: where none
    is, the fault is the server's, and the questions are asked again by a run that goes on.
    """

    batch_size = 1
    halved = 0

    def __init__(self, model: ServerModel, tell: Tell = lambda level, text: None) -> None:
        self.model = model
        self.ended: str | None = None
        """Why it ended before all was asked, where that is no fault."""
        self.first_tokens: list[float] = []
        self._tell = tell
        self._told: set[str] = set()
        self._failed: dict[int, Asked] = {}
        """What failed since, by its place among the questions."""
        self._answered = False
        self._waiting: dict[Future[Asked], tuple[int, Sample]] = {}
        self._images = ImageCache()

    def run(self, samples: Sequence[Sample], skip: Container[str] = ()) -> Generator[list[Asked]]:
        """Yield results as they come, each sample once, those whose id is in ``skip`` left out; now and then nothing.

        Raises:
            JobError: The server answers nobody, or failed on :data:`FAILURES_IN_A_ROW` questions with no success
                between. What was on its way is yielded first.
        """
        self.model.start()
        todo = enumerate([sample for sample in samples if sample.id not in skip])
        with ThreadPoolExecutor(self.model.server.concurrency, thread_name_prefix="ask") as pool:
            try:
                while self.ended is None:
                    while len(self._waiting) < self.model.server.concurrency and (begun := next(todo, None)):
                        self._waiting[pool.submit(self._ask, begun[1])] = begun
                    if not self._waiting:
                        break
                    done, _ = wait(self._waiting, POLL_S, FIRST_COMPLETED)
                    yield from self._collect(done)
                yield self.rest()
            finally:
                self.model.stop()
        if not self._failed or self.ended is not None:
            return
        if not self._answered and not any(sample.id in skip for sample in samples):
            raise JobError(
                f"the server answered none of {len(samples)} questions: {self._latest_error()}",
                "see what it says; resume asks again",
            )
        yield list(self._failed.values())

    def rest(self) -> list[Asked]:
        """Send nothing more, and wait for what is on its way; its answers."""
        self.model.stop()
        found = []
        for future in list(self._waiting):
            try:
                found.append(future.result())
            except (Stopped, BudgetUsed, JobError, Refused, GivenUp):
                continue  # asked again by a run that goes on
        self._waiting.clear()
        self._notice()
        return found

    def facts(self) -> dict[str, Any]:
        """For the run's summary: requests, cost, what the server called its model."""
        return {"server": self.model.book.summary()}

    def _collect(self, done: Iterable[Future[Asked]]) -> Generator[list[Asked]]:
        found: list[Asked] = []
        fault: JobError | None = None
        for future in done:
            place, sample = self._waiting.pop(future)
            try:
                asked = future.result()
            except BudgetUsed as budget:
                self.ended = str(budget)
            except Stopped:
                continue
            except (Refused, GivenUp) as error:
                self._failed[place] = Asked(sample, None, None, str(error))
            except JobError as error:
                fault = error
            else:
                if asked.reply is not None:
                    self._answered = True
                    found += [self._failed.pop(before) for before in sorted(self._failed) if before < place]
                found.append(asked)
        if len(self._failed) >= FAILURES_IN_A_ROW and fault is None:
            fault = JobError(
                f"the server failed on {len(self._failed)} questions in a row: {self._latest_error()}",
                "see what it says; what was answered is kept, and resume goes on",
            )
        self._notice()
        yield found
        if fault is not None:
            yield self.rest()
            raise fault

    def _latest_error(self) -> str | None:
        return self._failed[max(self._failed)].error

    def _ask(self, sample: Sample) -> Asked:
        """Called in threads."""
        try:
            image = self._images.open(sample)
        except ImageError as error:
            return Asked(sample, None, None, image_failure(sample, error))
        reply = self.model.ask_one(Request(image, question_messages(sample.question, sample.system)), sample.id)
        if reply.first_token_s is not None:
            self.first_tokens.append(reply.first_token_s)
        return Asked(sample, reply, reply.seconds, None)

    def _notice(self) -> None:
        """Say which model answers, and when that changes."""
        facts = self.model.book.summary()
        for what, names in (("model", facts["models"]), ("system fingerprint", facts["system_fingerprints"])):
            for name in names:
                if f"{what} {name}" not in self._told:
                    changed = any(one.startswith(what) for one in self._told)
                    words = "now names another" if changed else "names its"
                    self._told.add(f"{what} {name}")
                    self._tell("warning" if changed else "info", f"{self.model.server.host} {words} {what}: {name}")
