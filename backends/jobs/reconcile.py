"""One tick: make the index agree with the directories. Done by the dispatcher and by every `fada` command."""

from __future__ import annotations

import signal
import sqlite3

from backends.jobs.ingest import adopt, ingest
from backends.jobs.lock import is_held
from backends.jobs.process import is_alive, signal_group
from backends.jobs.spawn import start_dispatcher
from backends.jobs.store import Attempt, change_control, read_attempt, read_control, run_ids
from db.connect import bump, immediate
from db.home import Home
from db.runs.queries import active_runs, parents
from db.runs.rows import ACTIVE_STATES, END_STATES, WAITING_STATES


def tick(conn: sqlite3.Connection, home: Home) -> None:
    """Adopt what has no row, ingest what is not over, end what has lost its parent."""
    known = {row[0] for row in conn.execute("SELECT id FROM runs")}
    for run_id in run_ids(home):
        if run_id not in known:
            adopt(conn, home, run_id)
    for run_id, state in _unfinished(conn):
        now = ingest(conn, home, run_id)
        if now in ACTIVE_STATES:
            _end_orphan(home, run_id)
        elif state == "queued":
            _check_parents(conn, home, run_id)


def tick_and_wake(conn: sqlite3.Connection, home: Home) -> None:
    """A tick, and a dispatcher where work waits and none is there."""
    tick(conn, home)
    if work_left(conn):
        start_dispatcher(home)


def work_left(conn: sqlite3.Connection) -> bool:
    """Whether a dispatcher has something to do: anything queued or alive (held jobs wait for a person)."""
    states = ("queued", *ACTIVE_STATES)
    marks = ",".join("?" * len(states))
    return conn.execute(f"SELECT 1 FROM runs WHERE state IN ({marks}) LIMIT 1", states).fetchone() is not None


def _unfinished(conn: sqlite3.Connection) -> list[tuple[int, str]]:
    states = (*WAITING_STATES, *ACTIVE_STATES)
    marks = ",".join("?" * len(states))
    rows = conn.execute(f"SELECT id, state FROM runs WHERE state IN ({marks}) ORDER BY position, id", states)
    return [(row[0], row[1]) for row in rows]


def _check_parents(conn: sqlite3.Connection, home: Home, run_id: int) -> None:
    """A dependant of a parent that did not succeed is cancelled with that reason."""
    for parent, any_end, state in parents(conn, run_id):
        if state is None:
            reason = f"#{parent}, which it waits for, is not there any more"
        elif state in END_STATES and state != "done" and not any_end:
            reason = f"#{parent}, which it waits for, was {state}" if state != "failed" else f"#{parent} failed"
        else:
            continue
        with immediate(conn):
            change_control(home.run_dir(run_id), cancel=reason)
        ingest(conn, home, run_id)
        return


def worker_pids(conn: sqlite3.Connection, home: Home) -> dict[int, int]:
    """The worker's PID of each live run: the root of its process tree."""
    found = {}
    for run in active_runs(conn):
        attempt = read_attempt(home.run_dir(run.id), run.attempt)
        if attempt and attempt.worker:
            found[run.id] = attempt.worker.pid
    return found


def waits_for(conn: sqlite3.Connection, run_id: int) -> list[int]:
    """The parents that are not over yet."""
    return [parent for parent, _, state in parents(conn, run_id) if state not in END_STATES]


def set_reason(conn: sqlite3.Connection, run_id: int, reason: str | None) -> None:
    """Why a queued job waits, where that has changed."""
    with immediate(conn):
        done = conn.execute(
            "UPDATE runs SET reason = ? WHERE id = ? AND state = 'queued' AND reason IS NOT ?",
            (reason, run_id, reason),
        )
        if done.rowcount:
            bump(conn, "runs")


def _end_orphan(home: Home, run_id: int) -> None:
    """A worker whose runner died does not hear of a cancellation: tell it, after checking who it is."""
    folder = home.run_dir(run_id)
    control = read_control(folder)
    if control.cancel is None:
        return
    attempt = read_attempt(folder, control.attempt)
    if attempt and _is_orphan(attempt) and attempt.worker and is_held(folder / "lock"):
        signal_group(attempt.worker, signal.SIGTERM)


def _is_orphan(attempt: Attempt) -> bool:
    return attempt.runner is not None and not is_alive(attempt.runner)
