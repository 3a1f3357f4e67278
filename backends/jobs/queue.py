"""The queue as people use it: enqueue (see launch), cancel, pause, retry, resume, wait; see order and removal too."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from backends.jobs import store
from backends.jobs.disk import no_room
from backends.jobs.engines.submission import read_submission
from backends.jobs.errors import QueueError
from backends.jobs.ingest import ingest
from backends.jobs.inputs import check_inputs
from backends.jobs.launch import (
    enqueue_command,
    enqueue_demo,
    enqueue_eval,
    enqueue_tool,
    reserved,
)
from backends.jobs.launch_finetune import enqueue_finetune
from backends.jobs.order import hold, move, release
from backends.jobs.reconcile import tick_and_wake
from backends.jobs.removal import remove
from backends.jobs.spawn import start_dispatcher
from backends.jobs.state import derive
from backends.jobs.submit import need, submit
from db.connect import bump, connect, immediate
from db.home import Home
from db.runs.due import changing
from db.runs.queries import summary
from db.runs.rows import Run
from db.runs.states import END_STATES

__all__ = [
    "QueueError",
    "cancel",
    "enqueue_command",
    "enqueue_demo",
    "enqueue_eval",
    "enqueue_finetune",
    "enqueue_tool",
    "hold",
    "move",
    "pause",
    "release",
    "remove",
    "resume",
    "retry",
    "wait",
]

WAIT_POLL_S = 0.2
PAUSE_PATIENCE_S = 2.0
RESUMABLE = ("eval", "finetune")
"""Kinds that save their work when they are asked to stop, and go on from there."""


def can_resume(run: Run) -> bool:
    """A download saves nothing when it is asked to: all that has come is kept."""
    return run.kind in RESUMABLE or run.task == "download"


def cancel(home: Home, run_id: int, reason: str = "cancelled by the user", save: bool = False) -> list[str]:
    """End a run: a waiting one at once, a live one by TERM and then KILL from its runner.

    Args:
        save: Stop after writing a checkpoint (training) or the answer at hand (evaluation) instead; the run is then
            cancelled, and :func:`resume` goes on from there.

    Raises:
        QueueError: It is over, or it has nothing that could be saved.
    """
    try:
        return _cancel(home, run_id, reason, save)
    except (sqlite3.OperationalError, OSError) as error:
        if save or not no_room(error, home):
            raise
    # What has filled the disk may be what is to be ended.
    folder = home.run_dir(run_id)
    if not folder.is_dir() or derive(folder).name in END_STATES:
        raise QueueError(f"run #{run_id} is over already, or was never there")
    store.cancel_without_room(folder, reason)
    return [f"#{run_id} is being stopped (the disk is full: the list will say so when there is room)"]


def _cancel(home: Home, run_id: int, reason: str, save: bool) -> list[str]:
    """See :func:`cancel`."""
    with closing(connect(home.runs_db)) as conn:
        ingest(conn, home, run_id)
        run = need(conn, run_id)
        if run.is_over:
            raise QueueError(f"run #{run_id} is over already: {run.state}", hint="`fada jobs` shows what runs")
        saving = save and run.is_active
        if saving and run.kind not in RESUMABLE:
            raise QueueError(
                f"run #{run_id} ({run.kind}) has nothing to save for later", hint=f"`fada cancel {run_id}` ends it"
            )
        change = {"stop": True} if saving else {"cancel": reason}
        with immediate(conn):
            store.change_control(home.run_dir(run_id), paused=False, **change)
        ingest(conn, home, run_id)
        tick_and_wake(conn, home)
    if saving:
        return [f"#{run_id} was asked to save and stop; once it has, `fada resume {run_id}` goes on from there"]
    return [f"#{run_id} {'is being stopped' if run.is_active else 'was cancelled'}"]


def pause(home: Home, run_id: int) -> list[str]:
    """Stop a live run's processes until :func:`resume`. It keeps its memory, so nothing else fits because of it."""
    with closing(connect(home.runs_db)) as conn:
        ingest(conn, home, run_id)
        run = need(conn, run_id)
        if run.state not in ("starting", "running"):
            hint = f"`fada hold {run_id}` keeps it from starting" if run.state == "queued" else None
            raise QueueError(f"run #{run_id} is {run.state}: only what runs can be paused", hint=hint)
        if store.read_control(home.run_dir(run_id)).stop:
            raise QueueError(f"run #{run_id} is saving and stopping")
        paused = _set_paused(conn, home, run_id, True)
    word = "is paused" if paused else "will be paused"
    kept = "it keeps its memory (pausing frees no VRAM)"
    return [f"#{run_id} {word}; {kept}; `fada resume {run_id}` lets it go on"]


def _set_paused(conn: sqlite3.Connection, home: Home, run_id: int, paused: bool) -> bool:
    """Tell its runner and wait a moment for it to obey; whether it has."""
    with immediate(conn):
        store.change_control(home.run_dir(run_id), paused=paused)
    deadline = time.monotonic() + PAUSE_PATIENCE_S
    while time.monotonic() < deadline:
        tick_and_wake(conn, home)
        if (need(conn, run_id).state == "paused") == paused:
            return True
        time.sleep(WAIT_POLL_S / 4)
    return False


def retry(home: Home, run_id: int) -> int:
    """Queue a new run with the same spec; the new id."""
    with closing(connect(home.runs_db)) as conn:
        run = need(conn, run_id)
    spec = store.read_spec(Path(run.run_dir))
    if spec is None:
        raise QueueError(f"run #{run_id} has no spec any more", where=run.run_dir)
    if spec.get("import"):
        raise QueueError(
            f"run #{run_id} was imported: it was never run here", hint=f"`fada rescore {run_id}`, or `fada eval`"
        )
    check_inputs(spec, home)
    frozen = ("id", "format", "versions", "python", "cwd", "env", "created", "fingerprint", "held", "group")
    parts = {key: value for key, value in spec.items() if key not in frozen}
    if parts.get("model"):
        parts = reserved(home, parts)  # by now more may be known than when it was first queued
    return submit(home, {**parts, "after": [], "retry_of": run_id})


def resume(home: Home, run_id: int, budget: Mapping[str, float] | None = None) -> int:
    """Let a paused run go on, or queue the next attempt of one that ended unfinished; the same id.

    Args:
        budget: ``max_requests`` and ``max_cost`` of a run on a server, over all its attempts; kept where not given.
    """
    with closing(connect(home.runs_db)) as conn:
        ingest(conn, home, run_id)
        run = need(conn, run_id)
        if run.state == "paused":
            _set_paused(conn, home, run_id, False)
            return run_id
        if run.is_active:
            _still_stopping(home, run)
        if not can_resume(run):
            raise QueueError(f"run #{run_id} ({run.kind}) cannot be resumed", hint=f"`fada retry {run_id}` starts anew")
        if not run.is_over or (run.state == "done" and not summary(conn, run_id).get("stopped")):
            raise QueueError(f"run #{run_id} is {run.state}: there is nothing to resume")
        folder = home.run_dir(run_id)
        if not folder.is_dir():
            raise QueueError(f"run #{run_id} has no directory any more", where=str(folder))
        spec = store.read_spec(folder) or {}
        check_inputs(spec, home)
        changes = _budget(spec, store.read_control(folder).budget, budget)
        with changing(conn, run_id):
            submission = read_submission(folder)
            handed_on = submission is not None and submission.covers(run.attempt)
            begun = handed_on or store.read_attempt(folder, run.attempt) is not None
            changes |= {"attempt": run.attempt + begun, "cancel": None, "stop": False, "held": False, "paused": False}
            store.change_control(folder, **changes)
            conn.execute("UPDATE runs SET state = 'queued', reason = NULL WHERE id = ?", (run_id,))
            bump(conn, "runs")
        ingest(conn, home, run_id)
    start_dispatcher(home)
    return run_id


def _budget(
    spec: Mapping[str, Any], before: Mapping[str, float] | None, budget: Mapping[str, float] | None
) -> dict[str, Any]:
    """The change to the control file."""
    if not budget:
        return {}
    server = spec.get("server")
    if not server:
        raise QueueError("a budget is for a model on a server", hint="resume it without --max-requests and --max-cost")
    if "max_cost" in budget and (server.get("input_price") is None or server.get("output_price") is None):
        raise QueueError("a budget of money needs prices, and this run has none", hint="give --max-requests")
    return {"budget": {**(before or {}), **budget}}


def _still_stopping(home: Home, run: Run) -> None:
    """A run that was asked to end is not over yet.

    Raises:
        QueueError: When it can be resumed, and how.
    """
    run_id = run.id
    control = store.read_control(home.run_dir(run_id))
    if control.cancel is None and not control.stop:
        return
    if not can_resume(run):
        raise QueueError(f"run #{run_id} is still being stopped", hint=f"then `fada retry {run_id}` starts it anew")
    doing, when = ("saving", "saved") if control.cancel is None else ("being stopped", "stopped")
    raise QueueError(
        f"run #{run_id} is still {doing}: it can be resumed when it has {when}",
        hint=f"`fada jobs` says `cancelled` then, and `fada resume {run_id}` goes on from there",
    )


def wait(home: Home, run_ids: Iterable[int], on_change: Callable[[list[Run]], None] | None = None) -> list[Run]:
    """Wait until every run is over; the runs as they ended. Nothing is lost when the waiting is broken off."""
    ids = list(run_ids)
    last: list[Run] = []
    with closing(connect(home.runs_db)) as conn:
        while True:
            tick_and_wake(conn, home)
            runs = [need(conn, run_id) for run_id in ids]
            if on_change is not None and runs != last:
                on_change(runs)
            last = runs
            if all(run.is_over for run in runs):
                return runs
            time.sleep(WAIT_POLL_S)
