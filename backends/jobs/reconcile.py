"""One tick: make the index agree with the directories. Done by the dispatcher and by every `fada` command."""

from __future__ import annotations

import signal
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

from backends.jobs.ingest import ingest
from backends.jobs.limits import max_seconds, overtime
from backends.jobs.lock import is_held
from backends.jobs.process import age_s, go_on, is_alive, signal_group, suspend
from backends.jobs.scan import adopt_new, look_at_due
from backends.jobs.spawn import start_dispatcher
from backends.jobs.store import (
    Attempt,
    change_control,
    read_attempt,
    read_control,
    read_spec,
    write_attempt,
)
from db.connect import bump, immediate
from db.home import Home
from db.runs.queries import active_runs, parents
from db.runs.rows import ACTIVE_STATES, END_STATES, WAITING_STATES

GRACE_S = 10.0
"""Between asking an orphan to end and killing it."""


def tick(conn: sqlite3.Connection, home: Home) -> None:
    """Adopt what has no row, ingest what is not over, end what has lost its parent."""
    adopt_new(conn, home)
    look_at_due(conn, home)
    for run_id in _unfinished(conn):
        now = ingest(conn, home, run_id)
        if now in ACTIVE_STATES:
            _tend_orphan(conn, home, run_id)
        elif now == "queued":
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


def set_reason(conn: sqlite3.Connection, run_id: int, reason: str | None) -> None:
    """Why a queued job waits, where that has changed."""
    with immediate(conn):
        done = conn.execute(
            "UPDATE runs SET reason = ? WHERE id = ? AND state = 'queued' AND reason IS NOT ?",
            (reason, run_id, reason),
        )
        if done.rowcount:
            bump(conn, "runs")


def _tend_orphan(conn: sqlite3.Connection, home: Home, run_id: int) -> None:
    """A worker whose runner died hears of nothing: tell it what people ask, after checking who it is."""
    folder = home.run_dir(run_id)
    control = read_control(folder)
    attempt = read_attempt(folder, control.attempt)
    if attempt is None or attempt.worker is None or not _is_orphan(attempt) or not is_held(folder / "lock"):
        return
    limit = max_seconds(read_spec(folder) or {})
    if control.cancel is None and limit is not None and _ran_s(attempt) > limit:
        with immediate(conn):
            control = change_control(folder, cancel=overtime(limit))
    wanted = control.paused and not control.stop and control.cancel is None
    if wanted != (attempt.paused is not None):
        with immediate(conn):
            _pause_orphan(folder, control.attempt, wanted)
    if control.cancel is not None:
        asked_s = time.time() - (folder / "control.json").stat().st_mtime
        signal_group(attempt.worker, signal.SIGKILL if asked_s > GRACE_S else signal.SIGTERM)


def _pause_orphan(folder: Path, number: int, wanted: bool) -> None:
    attempt = read_attempt(folder, number)  # another process may have done it meanwhile
    if attempt is None or attempt.worker is None or not is_alive(attempt.worker):
        return
    if wanted == (attempt.paused is not None):
        return
    now = time.time()
    if wanted:
        suspend([attempt.worker.pid])
        write_attempt(folder, replace(attempt, paused=now))
    else:
        go_on([attempt.worker.pid])
        write_attempt(folder, replace(attempt, paused=None, pauses=(*attempt.pauses, (attempt.paused or now, now))))


def _ran_s(attempt: Attempt) -> float:
    """How long an orphan has run, pauses left out."""
    assert attempt.worker is not None
    if attempt.paused is not None:
        return 0.0  # it uses up no time; looked at again when it goes on
    return age_s(attempt.worker) - attempt.paused_s


def _is_orphan(attempt: Attempt) -> bool:
    return attempt.runner is not None and not is_alive(attempt.runner)
