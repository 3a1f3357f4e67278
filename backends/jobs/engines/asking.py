"""What people ask of runs that an engine has: to end them, to hold them, to let them go."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from backends.jobs.engines.base import Word
from backends.jobs.engines.never import settle_never
from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.tended import Patience, Tended
from backends.jobs.store import read_attempt, read_control
from db.home import Home

GRACE_S = 30.0
"""A running job is told to end by its own runner first, which leaves a record."""


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
        elif word.never and settle_never(home, conn, engine, run, patience) != "waits":
            end.append(job)
    engine.cancel(end)
    engine.hold(hold, True)
    engine.hold(release, False)
    return bool(end or hold or release)


def _obeys(run: Tended, word: Word) -> bool:
    """Whether its own runner is there to hear of it."""
    attempt = read_attempt(run.folder, run.control.attempt)
    return word.phase == "running" and attempt is not None and attempt.worker is not None
