"""The engine of this machine: one runner process a job, in a session of its own, holding the job's lock.

A job of it is an attempt of a run: ``12.1``. Its word on one follows from the run's directory alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Final

from backends.jobs import lock
from backends.jobs.admission import Capacity
from backends.jobs.engines.base import LOCAL, EngineError, Order, Phase, Word
from backends.jobs.engines.machine import capacity_of
from backends.jobs.files import open_log
from backends.jobs.state import derive
from backends.jobs.store import Attempt, change_control, read_attempt, read_control
from backends.telemetry.sampler import Sampler
from db.connect import connect, immediate
from db.home import Home
from db.runs.states import END_STATES

CANCELLED = "cancelled in this machine's queue"
_PHASES: Final[dict[str, Phase]] = {"starting": "running", "running": "running", "paused": "suspended"}


class Local:
    """See :class:`.base.Engine`. What may start, and when, the dispatcher decides."""

    name = LOCAL

    def __init__(self, home: Home) -> None:
        self._home = home

    def capacity(self) -> Capacity:
        """Of the card where there is one, else of the host's memory; as it is now."""
        with Sampler(self._home) as sampler:
            return capacity_of(sampler.sample({}))

    def submit(self, orders: Sequence[Order], label: str) -> list[str | None]:
        """Start them now. None of one that another process was quicker to start, that is held or was cancelled, or
        whose folder is gone.

        Raises:
            EngineError: One of them was to wait for others: that is the dispatcher's to do.
            OSError: A run's directory cannot be used.
        """
        if any(order.after for order in orders):
            raise EngineError("this machine starts a job at once, or not at all", final=True)
        return [job_of(order) if self._start(order) else None for order in orders]

    def poll(self, jobs: Collection[str]) -> dict[str, Word | None]:
        return {job: self._word(job) for job in jobs}

    def cancel(self, jobs: Collection[str]) -> None:
        """Its own runner ends it, and leaves the record; one that has begun a later attempt is let be."""
        for job in jobs:
            run, number = _parts(job)
            folder = self._home.run_dir(run)
            with closing(connect(self._home.runs_db)) as conn, immediate(conn):
                state = derive(folder)
                if state.control.attempt == number and state.name in _PHASES:
                    change_control(folder, cancel=CANCELLED, paused=False)

    def _start(self, order: Order) -> bool:
        """Take the run's lock and hand it to a new runner.

        There is no moment in which the job is started but unlocked: the descriptor is inherited.
        """
        folder = self._home.run_dir(order.run)
        try:
            descriptor = lock.take(folder / "lock")
        except FileNotFoundError:
            return False  # the folder is gone; the next tick says so
        if descriptor is None:
            return False
        try:
            control = read_control(folder)
            begun = read_attempt(folder, control.attempt) is not None
            if begun or control.attempt != order.attempt or control.held or control.cancel is not None:
                return False
            with open_log(folder / "log.txt") as log:
                subprocess.Popen(
                    [
                        *(sys.executable, "-P", "-m", "backends.jobs.runner", "--home", str(self._home.root)),
                        *("--run", str(order.run), "--attempt", str(order.attempt), "--lock", str(descriptor)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._home.root,
                    start_new_session=True,
                    pass_fds=(descriptor,),
                )
        finally:
            os.close(descriptor)
        return True

    def _word(self, job: str) -> Word | None:
        run, number = _parts(job)
        folder = self._home.run_dir(run)
        state = derive(folder)
        if state.control.attempt != number:
            attempt = read_attempt(folder, number)
            return _over("over", None, attempt) if attempt is not None else None
        if state.name in END_STATES:
            return _over(state.name, state.reason, state.attempt) if state.attempt is not None else None
        phase = _PHASES.get(state.name)
        return Word(phase, state.name) if phase is not None else None


def job_of(order: Order) -> str:
    return f"{order.run}.{order.attempt}"


def _parts(job: str) -> tuple[int, int]:
    run, _, attempt = job.partition(".")
    return (int(run), int(attempt)) if run.isdigit() and attempt.isdigit() else (0, 0)


def _over(state: str, reason: str | None, attempt: Attempt | None) -> Word:
    code, signal = (attempt.exit_code, attempt.signal) if attempt is not None else (None, None)
    return Word("over", state, reason, code, signal)
