"""What an engine says of the runs that it has, and what follows from it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace

from backends.jobs import outofmemory
from backends.jobs.ends import last_event
from backends.jobs.engines.base import Word
from backends.jobs.engines.batch_runner import PULSE
from backends.jobs.engines.never import settle_never
from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.submission import NOT_MINE, UNKNOWN, Submission, withdraw, write_submission
from backends.jobs.engines.tended import Patience, Tended
from backends.jobs.files import complain
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import set_reason
from backends.jobs.store import Attempt, change_control, read_attempt, read_control, read_spec, write_attempt
from db.connect import immediate
from db.home import Home

SILENT_S = 180.0
"""A run that its engine does not know, and that has shown no sign of life for so long, is lost."""


class Hearing:
    """Takes words of engines into run directories and index."""

    def __init__(self, home: Home, conn: sqlite3.Connection, patience: Patience) -> None:
        self._home = home
        self._conn = conn
        self._patience = patience
        self._pulses: dict[int, tuple[float, float]] = {}

    def hear(self, engine: Slurm, runs: Sequence[Tended]) -> dict[str, Word | None]:
        """Of runs that were handed on to an engine whose queue was just looked at; its words by job."""
        known = [found for run in runs if (found := self._found(engine, run)) is not None]
        words = engine.words([submission.job or "" for _, submission in known])
        # After the look: what a job wrote before it was over is here when its end is taken in.
        begun = [run for run, submission in known if _has_begun(words.get(submission.job or ""))]
        engine.tell(run.run for run in begun)
        engine.fetch({run.run: run.control.attempt for run in begun})
        for run, submission in known:
            self._hear(engine, run, submission, words.get(submission.job or ""))
        return words

    def _found(self, engine: Slurm, run: Tended) -> tuple[Tended, Submission] | None:
        """One whose submission was broken off before the answer was written is in the queue by its label, or it was
        not taken, and is to be handed on again.
        """
        submission = run.submission
        assert submission is not None
        if submission.job is not None:
            return run, submission
        jobs = engine.labelled(submission.label, submission.of)
        if jobs is None:
            if time.time() - submission.submitted > engine.settings.settle_s:
                withdraw(run.folder)
                ingest(self._conn, self._home, run.run)
            return None
        found = replace(submission, job=jobs[submission.index])
        write_submission(run.folder, found)
        return run, found

    def _hear(self, engine: Slurm, run: Tended, submission: Submission, word: Word | None) -> None:
        attempt = read_attempt(run.folder, run.control.attempt)
        if attempt is not None and attempt.job not in (None, submission.job):
            # A submission that was thought not to have been made was, and its job began before the second one.
            complain(f"#{run.run} is {engine.name}'s job {attempt.job}, not {submission.job}")
            engine.cancel([submission.job or ""])
            write_submission(run.folder, replace(submission, job=attempt.job))
        elif word is None:
            if self._silent(run, attempt):
                self._conclude(run, submission, UNKNOWN)
        elif word.phase != "over":
            self._patience.forget(run.run, "record")
            self._still(engine, run, submission, word)
        elif _is_about_a_second(attempt, word) and not self._silent(run, attempt):
            pass  # it found the attempt taken, and ended; the one that has it goes on
        elif word.never and attempt is None:
            if settle_never(self._home, self._conn, engine, run, self._patience) == "cancelled":
                self._conclude(run, submission, word.state)
        # What a node wrote last may be seen here a little later, over a shared file system.
        elif _nothing_to_come(attempt, word) or self._patience.over("record", run.run, engine.settings.settle_s):
            ended = replace(submission, state=word.state, exit_code=word.exit_code, signal=word.signal)
            self._conclude(run, ended, word.state)

    def _silent(self, run: Tended, attempt: Attempt | None) -> bool:
        """The engine does not know it any more: whether the run itself shows no sign of life either."""
        if attempt is None or attempt.ended is not None:
            return True
        try:
            pulse = (run.folder / PULSE).stat().st_mtime
        except OSError:
            pulse = 0.0
        seen, since = self._pulses.get(run.run, (-1.0, 0.0))
        if seen != pulse:
            self._pulses[run.run] = (pulse, time.monotonic())
            return False
        return time.monotonic() - since >= SILENT_S

    def _still(self, engine: Slurm, run: Tended, submission: Submission, word: Word) -> None:
        restarts = max(submission.restarts, word.restarts)
        fresh = replace(submission, phase=word.phase, state=word.state, held=word.held, restarts=restarts, trouble=None)
        if fresh != submission:
            # It comes before the control file: at no moment may the attempt that is wanted have no submission.
            write_submission(run.folder, fresh)
        if submission.attempt + restarts > run.control.attempt:
            self._started_again(engine, run, submission.attempt + restarts)
        if fresh != submission:
            ingest(self._conn, self._home, run.run)
        why = _why_it_waits(engine, run, submission, word)
        if word.phase == "waiting" and why != run.reason:
            set_reason(self._conn, run.run, why)

    def _started_again(self, engine: Slurm, run: Tended, number: int) -> None:
        """The engine has put it back into its queue, its node having failed: that is the next attempt."""
        for earlier in range(run.control.attempt, number):
            attempt = read_attempt(run.folder, earlier)
            if attempt is not None and attempt.ended is None:
                ended = replace(attempt, ended=time.time(), reason=f"its node failed; {engine.name} queued it again")
                write_attempt(run.folder, ended)
        with immediate(self._conn):
            change_control(run.folder, attempt=number)
        complain(f"#{run.run} was queued again by {engine.name}: attempt {number}")

    def _conclude(self, run: Tended, submission: Submission, over: str) -> None:
        self._patience.forget(run.run)
        attempt = read_attempt(run.folder, run.control.attempt)
        if attempt is None or not self._once_more(run, attempt):
            write_submission(run.folder, replace(submission, over=over))
        ingest(self._conn, self._home, run.run)

    def _once_more(self, run: Tended, attempt: Attempt) -> bool:
        """After out of memory: the wish for another attempt is on disk before this one's end is taken in."""
        spec = read_spec(run.folder) or {}
        if attempt.ended is None or attempt.exit_code == 0 or attempt.cancelled or attempt.reason:
            return False
        if not outofmemory.ran_out(spec, last_event(run.folder)):
            return False
        with immediate(self._conn):
            changes = outofmemory.once_more(spec, read_control(run.folder), attempt)
            if changes is not None:
                change_control(run.folder, **changes)
        if changes is not None:
            complain(f"#{run.run}: {outofmemory.said(changes)}")
        return changes is not None


def _has_begun(word: Word | None) -> bool:
    """One that the engine does not know any more may have."""
    return word is None or word.phase != "waiting" or word.restarts > 0


def _is_about_a_second(attempt: Attempt | None, word: Word) -> bool:
    """A controller that died before it saved starts a job once more beside the one that runs."""
    return attempt is not None and attempt.ended is None and word.exit_code == NOT_MINE


def _nothing_to_come(attempt: Attempt | None, word: Word) -> bool:
    """Whether its end is written; or it was cancelled before it began, and nothing will be."""
    return word.state == "CANCELLED" if attempt is None else attempt.ended is not None


def _why_it_waits(engine: Slurm, run: Tended, submission: Submission, word: Word) -> str:
    if run.control.cancel is not None:
        return f"being taken out of {engine.name}'s queue"
    if run.control.held and not word.held:
        return f"being held in {engine.name}'s queue"
    why = f"can never start ({word.reason})" if word.never else word.reason or "waits"
    return f"{engine.name}: {why}, job {submission.job}"
