"""What people ask of runs that an engine has: to end them, to hold them, to let them go."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from backends.jobs.engines.base import Word
from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.submission import withdraw
from backends.jobs.engines.tended import Patience, Tended
from backends.jobs.ingest import ingest
from backends.jobs.store import change_control, read_attempt, read_control
from db.connect import immediate
from db.home import Home
from db.runs.queries import parents
from db.runs.states import END_STATES

GRACE_S = 30.0
"""A running job is told to end by its own runner first, which leaves a record."""
_NEVER = "DependencyNeverSatisfied"


def obey(
    home: Home,
    conn: sqlite3.Connection,
    engine: Slurm,
    runs: Sequence[Tended],
    words: Mapping[str, Word | None],
    patience: Patience,
) -> bool:
    """See that the engine does what was asked; whether it was told anything.

    Raises:
        EngineError: It did not answer.
    """
    end, hold, release = [], [], []
    for run in runs:
        job = run.submission.job if run.submission else None
        word = words.get(job) if job else None
        if job is None or word is None or word.phase == "over":
            continue
        control = read_control(run.folder)
        if control.cancel is not None:
            if not _obeys(run, word) or patience.over("cancel", run.run, GRACE_S):
                end.append(job)
        elif word.phase != "waiting":
            continue
        elif control.held and not word.held:
            hold.append(job)
        elif not control.held and word.reason == "JobHeldUser":
            release.append(job)
        elif (
            word.reason == _NEVER
            and patience.over("never", run.run, 2 * engine.settings.poll_s)
            and _never(home, conn, engine, run)
        ):
            end.append(job)
    engine.cancel(end)
    engine.hold(hold, True)
    engine.hold(release, False)
    return bool(end or hold or release)


def _obeys(run: Tended, word: Word) -> bool:
    """Whether its own runner is there to hear of it."""
    attempt = read_attempt(run.folder, run.control.attempt)
    return word.phase == "running" and attempt is not None and attempt.worker is not None


def _never(home: Home, conn: sqlite3.Connection, engine: Slurm, run: Tended) -> bool:
    """Slurm says that what it waits for cannot happen any more; whether to take it out of its queue.

    Where a parent of ours goes on all the same (a second attempt, which is another job), it is handed on anew. Else it
    is ended with that reason; what a parent's own end says is said by the next tick, and goes before.
    """
    listed = parents(conn, run.run)
    if any(state in END_STATES and state != "done" and not any_end for _, any_end, state in listed):
        return False
    if all(state in END_STATES for _, _, state in listed):
        with immediate(conn):
            change_control(run.folder, cancel=f"can never start: {engine.name} says {_NEVER}")
    else:
        withdraw(run.folder)
        ingest(conn, home, run.run)
    return True
