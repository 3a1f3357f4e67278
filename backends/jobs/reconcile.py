"""One tick: make the index agree with the directories. Done by the dispatcher and by every `fada` command."""

from __future__ import annotations

import bisect
import errno
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from backends.jobs.ingest import ingest
from backends.jobs.orphan import tend_orphan
from backends.jobs.scan import adopt_new, look_at_due
from backends.jobs.spawn import start_dispatcher
from backends.jobs.store import change_control, read_attempt, read_control
from db.connect import bump, immediate
from db.home import Home
from db.runs.queries import active_runs
from db.runs.states import ACTIVE_STATES, END_STATES, WAITING_STATES

FULL = (errno.ENOSPC, errno.EDQUOT)
EACH_TURN = 200
"""So many of those that wait a ticking process looks at in one tick."""
ACTIVE_TURN = 40
"""And of those that run, which cost more. Their own runners take in what they do; here it is seen whose has died."""
MOST_IN_A_ROW = 50
"""Links of a chain of dependants that are ended in one tick; the rest in the next."""
_SETTLED_NS = 1_000_000_000
"""A modification time this young may hide another change in the same clock tick."""


class Rota:
    """Of many that wait or run which are looked at in this tick.

    Nothing changes a waiting run's directory but a command, which takes the change in itself; where that was killed in
    between it is seen a few seconds later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._after = 0

    def turn(self, runs: Sequence[int]) -> Sequence[int]:
        """The next of them, by their ids; all where they are few."""
        if len(runs) <= self._most:
            return runs
        ids = sorted(runs)
        at = bisect.bisect_right(ids, self._after)
        chosen = (ids[at:] + ids[:at])[: self._most]
        self._after = chosen[-1]
        return chosen


class Rotas:
    """Those of one who ticks again and again."""

    def __init__(self) -> None:
        self.waiting = Rota(EACH_TURN)
        self.active = Rota(ACTIVE_TURN)


def tick(conn: sqlite3.Connection, home: Home, rotas: Rotas | None = None) -> None:
    """Adopt what has no row, ingest what is not over, end what has lost its parent.

    Args:
        rotas: Of one who ticks again and again; without them all are looked at.
    """
    adopt_new(conn, home)
    look_at_due(conn, home)
    settled: list[tuple[int, int]] = []
    for run_id, state, seen in _to_look_at(conn, rotas):
        try:
            stamp = _look_at(conn, home, run_id, state, seen)
        except OSError as error:
            if error.errno in FULL:
                raise
            # What is wrong with one run's directory holds up no other run.
            _say(conn, run_id, unusable(error))
            continue
        if stamp is not None and stamp != seen:
            settled.append((stamp, run_id))
    if settled:
        with immediate(conn):
            conn.executemany("UPDATE runs SET settled = ? WHERE id = ?", settled)
    end_orphaned(conn, home)


def unusable(error: OSError) -> str:
    """Why nothing can be done with a run."""
    return f"its directory cannot be used: {error.strerror}"


def _look_at(conn: sqlite3.Connection, home: Home, run_id: int, state: str, seen: int | None) -> int | None:
    """Bring one run up to its directory. The stamp of the directory of one that waits, where it has settled."""
    stamp = _stamp(home.run_dir(run_id)) if state in WAITING_STATES else None
    if stamp is None or stamp != seen:
        # First: a run is over only when nothing of it is left that could go on writing.
        tend_orphan(conn, home, run_id)
        now = ingest(conn, home, run_id)
        if now in END_STATES:
            tend_orphan(conn, home, run_id)  # its worker may have lived when it was first looked at
        if now not in WAITING_STATES or (stamp is not None and time.time_ns() - stamp // 2 <= _SETTLED_NS):
            stamp = None
    return stamp


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


def _stamp(folder: Path) -> int | None:
    """Changes with whatever can change the state of a run that waits: all of it is a file that is made or replaced, but
    for the lock of one that is being started, which its dispatcher looks at. None where the folder is gone.
    """
    try:
        return folder.stat().st_mtime_ns + (folder / "attempts").stat().st_mtime_ns
    except OSError:
        return None


def _to_look_at(conn: sqlite3.Connection, rotas: Rotas | None) -> list[tuple[int, str, int | None]]:
    """Id, state, and the stamp of its folder when nothing more was to be read there; in queue order."""
    # By the index of states alone: thousands of whole rows are not read for that.
    waiting = [row[0] for row in conn.execute(f"SELECT id FROM runs WHERE state IN {WAITING_STATES}")]
    active = [row[0] for row in conn.execute(f"SELECT id FROM runs WHERE state IN {ACTIVE_STATES}")]
    ids = [*waiting, *active] if rotas is None else [*rotas.waiting.turn(waiting), *rotas.active.turn(active)]
    rows = conn.execute(
        "SELECT id, state, settled FROM runs WHERE id IN (SELECT value FROM json_each(?)) ORDER BY position, id",
        (json.dumps(ids),),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def end_orphaned(conn: sqlite3.Connection, home: Home) -> None:
    """A dependant of a parent that did not succeed is cancelled with that reason, and then what depends on it."""
    for _ in range(MOST_IN_A_ROW):
        rows = conn.execute(
            "SELECT d.run, min(d.parent), p.state FROM dependencies d JOIN runs r ON r.id = d.run "
            "LEFT JOIN runs p ON p.id = d.parent WHERE r.state = 'queued' AND (p.state IS NULL "
            "OR (p.state IN ('failed', 'cancelled', 'lost') AND NOT d.any_end)) GROUP BY d.run ORDER BY d.run"
        ).fetchall()
        changed = False
        for run_id, parent, state in rows:
            try:
                changed = _end_orphan(conn, home, run_id, parent, state) or changed
            except OSError as error:
                if error.errno in FULL:
                    raise
                _say(conn, run_id, unusable(error))
        if not changed:
            return


def _end_orphan(conn: sqlite3.Connection, home: Home, run_id: int, parent: int, state: str | None) -> bool:
    """False where it was done before: one that an engine has is over when that says so."""
    if read_control(home.run_dir(run_id)).cancel is not None:
        return False
    gone = f"#{parent}, which it waits for, is not there any more"
    reason = gone if state is None else _bad_end(conn, parent, state)
    with immediate(conn):
        change_control(home.run_dir(run_id), cancel=reason)
    ingest(conn, home, run_id)
    return True


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


def waited_for(conn: sqlite3.Connection) -> dict[int, list[int]]:
    """Of each queued run that waits for others the parents that are not over yet."""
    marks = ",".join("?" * len(END_STATES))
    rows = conn.execute(
        "SELECT d.run, d.parent FROM dependencies d JOIN runs r ON r.id = d.run LEFT JOIN runs p ON p.id = d.parent "
        f"WHERE r.state = 'queued' AND (p.state IS NULL OR p.state NOT IN ({marks})) ORDER BY d.run, d.parent",
        END_STATES,
    )
    found: dict[int, list[int]] = {}
    for run, parent in rows:
        found.setdefault(run, []).append(parent)
    return found


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
