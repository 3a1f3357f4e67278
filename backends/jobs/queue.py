"""The queue as people use it: enqueue (see launch), cancel, hold, release, move, retry, resume, remove, wait."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from backends.jobs import store
from backends.jobs.disk import discard, no_room, set_aside
from backends.jobs.engines.submission import read_submission
from backends.jobs.errors import QueueConflict, QueueError
from backends.jobs.ingest import forget, ingest
from backends.jobs.inputs import check_inputs, users_of
from backends.jobs.launch import (
    enqueue_command,
    enqueue_demo,
    enqueue_eval,
    enqueue_tool,
    reserved,
)
from backends.jobs.launch_finetune import enqueue_finetune
from backends.jobs.reconcile import tick_and_wake
from backends.jobs.spawn import start_dispatcher
from backends.jobs.state import derive
from backends.jobs.submit import need, submit
from db.connect import bump, connect, immediate
from db.home import Home
from db.runs.due import changing
from db.runs.queries import runs_in_state, summary
from db.runs.rows import END_STATES, WAITING_STATES, Run

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
    deadline = time.monotonic() + PAUSE_PATIENCE_S
    while (now := ingest(conn, home, run_id)) == "starting" and time.monotonic() < deadline:
        time.sleep(WAIT_POLL_S / 4)
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


def remove(home: Home, run_id: int, force: bool = False) -> list[str]:
    """Delete a finished run and its directory; its id is not used again.

    Raises:
        QueueConflict: Other runs were made from it, so they could not be repeated; ``force`` removes it all the same.
        QueueError: It is not over, or a run that is not over needs it.
    """
    try:
        return _remove(home, run_id, force)
    except (sqlite3.OperationalError, OSError) as error:
        if not no_room(error, home):
            raise
    # The index cannot be written, and what would make room is this: first the files, then what stands of them.
    with closing(connect(home.runs_db, read_only=True)) as conn:
        run = need(conn, run_id)
        if derive(home.run_dir(run_id)).name not in END_STATES:
            raise QueueError(f"run #{run_id} is {run.state}", hint=f"end it first: `fada cancel {run_id}`")
        _check_unneeded(conn, home, run_id, force)
    freed = discard(set_aside(home.run_dir(run_id)))
    try:
        _remove(home, run_id, force=True)
    except (sqlite3.OperationalError, OSError):
        return [f"#{run_id}: its files were removed, {freed / 1e6:.1f} MB freed; it is listed until there is more room"]
    return [f"#{run_id} removed, {freed / 1e6:.1f} MB freed"]


def _remove(home: Home, run_id: int, force: bool) -> list[str]:
    """See :func:`remove`."""
    with closing(connect(home.runs_db)) as conn:
        ingest(conn, home, run_id)
        run = need(conn, run_id)
        if not run.is_over:
            raise QueueError(f"run #{run_id} is {run.state}", hint=f"end it first: `fada cancel {run_id}`")
        folder = home.run_dir(run_id)
        # What is looked at and the removal are one step: nobody can resume it, or queue what needs it, in between.
        # In two commits, so that whoever comes after a kill looks at a run whose directory is gone.
        with changing(conn, run_id):
            _check_unneeded(conn, home, run_id, force)
            # What a kill leaves half removed must not look like a run that has yet to start.
            aside = set_aside(folder) if folder.is_dir() else None
            forget(conn, run_id)
            conn.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            bump(conn, "runs", "scores")
    freed = discard(aside) if aside is not None else 0
    return [f"#{run_id} removed, {freed / 1e6:.1f} MB freed"]


def _check_unneeded(conn: sqlite3.Connection, home: Home, run_id: int, force: bool) -> None:
    """See :func:`remove`."""
    run = need(conn, run_id)
    if not run.is_over or derive(home.run_dir(run_id)).name not in END_STATES:
        raise QueueError(f"run #{run_id} is not over", hint=f"end it first: `fada cancel {run_id}`")
    rows = conn.execute(
        "SELECT d.run FROM dependencies d JOIN runs r ON r.id = d.run WHERE d.parent = ? AND r.state IN "
        "('queued', 'held')",
        (run_id,),
    )
    waiting = [row[0] for row in rows]
    if waiting:
        raise QueueError(f"run #{run_id} is waited for by #{waiting[0]}", hint=f"`fada cancel {waiting[0]}` first")
    live, over = users_of(conn, home, run_id)
    if live:
        raise QueueError(f"run #{run_id} is needed by #{live[0]}", hint=f"end it first: `fada cancel {live[0]}`")
    if over and not force:
        names = ", ".join(f"#{one}" for one in over)
        raise QueueConflict(
            f"{names} used what run #{run_id} left and could not be repeated without it",
            hint=f"`fada rm {run_id} --force` removes it all the same",
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
