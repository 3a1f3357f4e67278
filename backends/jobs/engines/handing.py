"""Handing runs on to an engine: which are ready, which go together as one array, and under what name."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backends.jobs.engines.base import EngineError, Order
from backends.jobs.engines.batch import asked
from backends.jobs.engines.config import EngineSettings, of_spec
from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.submission import REFUSED, Submission, read_submission, write_submission
from backends.jobs.engines.tended import Tended
from backends.jobs.files import open_log
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import set_reason
from backends.jobs.store import read_control, read_spec
from db.home import Home
from db.runs.queries import parents
from db.runs.states import END_STATES

_LARGEST = 500
"""Tasks of an array; Slurm's own limit is 1,000 unless it was raised."""
_PATIENCE_S = 10.0
"""So long the rest of a group is waited for."""
_AT_ONCE = 50
"""Submissions of one turn: those that run are heard of in between."""


@dataclass(frozen=True)
class Ready:
    """A run that nothing keeps from being handed on."""

    order: Order
    folder: Path
    settings: EngineSettings
    asks: dict[str, str]

    @property
    def group(self) -> tuple[str, int] | None:
        """What was queued together, and how many they are; only first attempts go together."""
        table = self.order.spec.get("group")
        if not isinstance(table, dict) or self.order.attempt != 1:
            return None
        return str(table.get("id")), int(table.get("size") or 1)


def hand_on(home: Home, conn: sqlite3.Connection, engine: Slurm, runs: Sequence[Tended]) -> tuple[bool, bool]:
    """Hand on what may go. Whether something was taken, and whether it cannot take more now."""
    ready = [found for run in runs if (found := _ready(home, conn, engine, run)) is not None]
    taken = False
    for at, batch in enumerate(batches(ready)):
        if at == _AT_ONCE:
            break
        error = _submit(home, conn, batch)
        taken = taken or error is None
        if error is not None and not error.final:
            return taken, True
    return taken, False


def _ready(home: Home, conn: sqlite3.Connection, engine: Slurm, run: Tended) -> Ready | None:
    if run.state != "queued" or run.control.held or run.control.cancel is not None:
        return None
    after = _after(home, conn, engine, run.run)
    spec = read_spec(run.folder) if after is not None else None
    settings = of_spec(spec) if spec is not None else None
    if after is None or spec is None or settings is None:
        return None
    reserve = run.control.reserve or int((spec.get("reserve") or {}).get("bytes") or 0)
    order = Order(run.run, run.control.attempt, spec, reserve, after, bool(spec.get("after_any")))
    return Ready(order, run.folder, settings, asked(settings, order))


def _after(home: Home, conn: sqlite3.Connection, engine: Slurm, run: int) -> tuple[str, ...] | None:
    """The jobs that Slurm itself is to wait for; None where one is not this engine's, or not handed on yet."""
    jobs = []
    for parent, any_end, state in parents(conn, run):
        if state == "done" or (state in END_STATES and any_end):
            continue
        folder = home.run_dir(parent)
        submission = read_submission(folder)
        here = submission is not None and submission.engine == engine.name and submission.job is not None
        if submission is None or not here or not submission.covers(read_control(folder).attempt) or state in END_STATES:
            set_reason(conn, run, f"after #{parent}")
            return None
        jobs.append(str(submission.job))
    return tuple(jobs)


def batches(ready: Sequence[Ready]) -> Iterator[list[Ready]]:
    """Those that were queued together and ask the same of the engine go as one array, the others one by one.

    A group that is not all there yet is left for a later turn.
    """
    groups: dict[str, list[Ready]] = {}
    for one in ready:
        if one.group is None:
            yield [one]
        else:
            groups.setdefault(one.group[0], []).append(one)
    for members in groups.values():
        first = members[0]
        size = first.group[1] if first.group else 1
        if len(members) < size and time.time() - float(first.order.spec["created"]) < _PATIENCE_S:
            continue
        alike: dict[str, list[Ready]] = {}
        for one in members:
            alike.setdefault(repr((sorted(one.asks.items()), one.order.after, one.settings)), []).append(one)
        for same in alike.values():
            for at in range(0, len(same), _LARGEST):
                yield same[at : at + _LARGEST]


def _submit(home: Home, conn: sqlite3.Connection, batch: Sequence[Ready]) -> EngineError | None:
    """What is to be handed on is written down before it is, so that a kill in between loses and doubles nothing."""
    engine = Slurm(batch[0].settings, home)
    first, now = batch[0].order, time.time()
    label = f"fada-{first.run}-{first.attempt}-{os.urandom(4).hex()}"
    made = [
        Submission(engine.name, one.order.attempt, label, now, index=index, of=len(batch))
        for index, one in enumerate(batch)
    ]
    for one, submission in zip(batch, made, strict=True):
        open_log(one.folder / "log.txt").close()  # 0600: Slurm would make it as its own configuration says
        write_submission(one.folder, submission)
    try:
        jobs = engine.submit([one.order for one in batch], label)
    except EngineError as error:
        for one, submission in zip(batch, made, strict=True):
            if error.final:
                write_submission(one.folder, replace(submission, over=REFUSED, message=str(error)))
                ingest(conn, home, one.order.run)
            else:  # it may have been taken all the same: the label in the queue tells
                set_reason(conn, one.order.run, f"{engine.name} did not take it yet: {error}")
        return error
    for one, submission, job in zip(batch, made, jobs, strict=True):
        write_submission(one.folder, replace(submission, job=job))
        ingest(conn, home, one.order.run)
        set_reason(conn, one.order.run, f"{engine.name}: job {job}")
    return None
