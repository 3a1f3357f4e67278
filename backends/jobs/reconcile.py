"""One tick: make the index agree with the directories. Done by the dispatcher and by every `fada` command."""

from __future__ import annotations

import errno
import sqlite3

from backends.jobs.ingest import ingest
from backends.jobs.orphan import tend_orphan
from backends.jobs.scan import adopt_new, look_at_due
from backends.jobs.spawn import start_dispatcher
from backends.jobs.store import change_control, read_attempt
from db.connect import bump, immediate
from db.home import Home
from db.runs.queries import active_runs, parents
from db.runs.rows import ACTIVE_STATES, END_STATES, WAITING_STATES

FULL = (errno.ENOSPC, errno.EDQUOT)


def tick(conn: sqlite3.Connection, home: Home) -> None:
    """Adopt what has no row, ingest what is not over, end what has lost its parent."""
    adopt_new(conn, home)
    look_at_due(conn, home)
    for run_id in _unfinished(conn):
        try:
            _look_at(conn, home, run_id)
        except OSError as error:
            if error.errno in FULL:
                raise
            # What is wrong with one run's directory holds up no other run.
            _say(conn, run_id, unusable(error))


def unusable(error: OSError) -> str:
    """Why nothing can be done with a run."""
    return f"its directory cannot be used: {error.strerror}"


def _look_at(conn: sqlite3.Connection, home: Home, run_id: int) -> None:
    # First: a run is over only when nothing of it is left that could go on writing.
    tend_orphan(conn, home, run_id)
    if ingest(conn, home, run_id) == "queued":
        _check_parents(conn, home, run_id)


def tick_and_wake(conn: sqlite3.Connection, home: Home) -> None:
    """A tick, and a dispatcher where work waits and none is there. A HOME that cannot be written is left as it is."""
    if home.is_read_only():
        return
    tick(conn, home)
    if work_left(conn):
        start_dispatcher(home)


def work_left(conn: sqlite3.Connection) -> bool:
    """Whether a dispatcher has something to do: anything queued or alive (held jobs wait for a person)."""
    states = ("queued", *ACTIVE_STATES)
    marks = ",".join("?" * len(states))
    return conn.execute(f"SELECT 1 FROM runs WHERE state IN ({marks}) LIMIT 1", states).fetchone() is not None


def _unfinished(conn: sqlite3.Connection) -> list[int]:
    states = (*WAITING_STATES, *ACTIVE_STATES)
    marks = ",".join("?" * len(states))
    rows = conn.execute(f"SELECT id FROM runs WHERE state IN ({marks}) ORDER BY position, id", states)
    return [row[0] for row in rows]


def _check_parents(conn: sqlite3.Connection, home: Home, run_id: int) -> None:
    """A dependant of a parent that did not succeed is cancelled with that reason."""
    for parent, any_end, state in parents(conn, run_id):
        if state is None:
            reason = f"#{parent}, which it waits for, is not there any more"
        elif state in END_STATES and state != "done" and not any_end:
            reason = _bad_end(conn, parent, state)
        else:
            continue
        with immediate(conn):
            change_control(home.run_dir(run_id), cancel=reason)
        ingest(conn, home, run_id)
        return


def _bad_end(conn: sqlite3.Connection, parent: int, state: str) -> str:
    if state == "failed":
        return f"#{parent} failed"
    (why,) = conn.execute("SELECT reason FROM runs WHERE id = ?", (parent,)).fetchone()
    return f"#{parent}, which it waits for, was {state}" + (f" ({why})" if why else "")


def worker_pids(conn: sqlite3.Connection, home: Home) -> dict[int, int]:
    """The worker's PID of each live run: the root of its process tree."""
    found = {}
    for run in active_runs(conn):
        if run.engine is not None:
            continue  # a number of another machine's
        attempt = read_attempt(home.run_dir(run.id), run.attempt)
        if attempt and attempt.worker:
            found[run.id] = attempt.worker.pid
    return found


def waits_for(conn: sqlite3.Connection, run_id: int) -> list[int]:
    """The parents that are not over yet."""
    return [parent for parent, _, state in parents(conn, run_id) if state not in END_STATES]


def _say(conn: sqlite3.Connection, run_id: int, reason: str) -> None:
    with immediate(conn):
        done = conn.execute("UPDATE runs SET reason = ? WHERE id = ? AND reason IS NOT ?", (reason, run_id, reason))
        if done.rowcount:
            bump(conn, "runs")


def set_reason(conn: sqlite3.Connection, run_id: int, reason: str | None) -> None:
    """Why a queued job waits, where that has changed."""
    with immediate(conn):
        done = conn.execute(
            "UPDATE runs SET reason = ? WHERE id = ? AND state = 'queued' AND reason IS NOT ?",
            (reason, run_id, reason),
        )
        if done.rowcount:
            bump(conn, "runs")
