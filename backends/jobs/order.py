"""The order of what waits: hold, release, move."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from backends.jobs import store
from backends.jobs.errors import QueueError
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import tick_and_wake
from backends.jobs.submit import need
from db.connect import bump, connect, immediate
from db.home import Home
from db.runs.queries import runs_in_state
from db.runs.rows import Run
from db.runs.states import WAITING_STATES

_PATIENCE_S, _POLL_S = 2.0, 0.05


def hold(home: Home, run_id: int) -> list[str]:
    """Keep a queued run from starting until it is released."""
    return _change_waiting(home, run_id, "queued", "held", held=True)


def release(home: Home, run_id: int) -> list[str]:
    return _change_waiting(home, run_id, "held", "released", held=False)


def _change_waiting(home: Home, run_id: int, state: str, word: str, **changes: Any) -> list[str]:
    with closing(connect(home.runs_db)) as conn:
        run = need(conn, run_id)
        if run.state != state:
            raise QueueError(f"run #{run_id} is {run.state}, not {state}")
        with immediate(conn):
            store.change_control(home.run_dir(run_id), **changes)
            conn.execute("UPDATE runs SET reason = NULL WHERE id = ?", (run_id,))
            bump(conn, "runs")
        if _has_begun(conn, home, run_id) and changes["held"]:
            with immediate(conn):
                store.change_control(home.run_dir(run_id), held=False)
            raise QueueError(f"run #{run_id} has begun meanwhile: it was not {word}")
        tick_and_wake(conn, home)
    return [f"#{run_id} {word}"]


def _has_begun(conn: sqlite3.Connection, home: Home, run_id: int) -> bool:
    """Whether the dispatcher was quicker; one that only tries is waited for."""
    deadline = time.monotonic() + _PATIENCE_S
    while (now := ingest(conn, home, run_id)) == "starting" and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return now not in WAITING_STATES


def move(home: Home, run_id: int, before: int) -> list[str]:
    """Put a waiting run right before another in the queue."""
    with closing(connect(home.runs_db)) as conn:
        for one in (run_id, before):
            if not need(conn, one).is_waiting:
                raise QueueError(f"run #{one} does not wait: only queued or held runs have an order")
        if run_id == before:
            raise QueueError(f"run #{run_id} cannot be moved before itself")
        with immediate(conn):  # the order is read in it: of two who move at once, neither undoes the other
            order = [run for run in runs_in_state(conn, "queued", "held") if run.id != run_id]
            index = next((i for i, run in enumerate(order) if run.id == before), None)
            if index is None:
                raise QueueError(f"run #{before} does not wait any more")
            changed = _positions(order, index, need(conn, run_id))
            for one, position in changed.items():
                store.change_control(home.run_dir(one), position=position)
        for one in changed:
            ingest(conn, home, one)
    return [f"#{run_id} goes before #{before}"]


def _positions(order: Sequence[Run], index: int, run: Run) -> dict[int, float]:
    """New positions that put ``run`` before ``order[index]``: its own, or all where no number lies between two."""
    high = order[index].position
    low = order[index - 1].position if index else high - 2
    middle = (low + high) / 2
    if low < middle < high:
        return {run.id: middle}
    whole = [*order[:index], run, *order[index:]]
    first = min(one.position for one in order)
    return {one.id: first + place for place, one in enumerate(whole)}
