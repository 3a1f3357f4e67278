"""Commands that steer a job. Whatever touches files or processes is done in a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fada_tui.widgets.status import what

if TYPE_CHECKING:
    from db.home import Home
    from db.runs.rows import Run
    from fada_tui.screens.dashboard import Dashboard

SAVES = ("eval", "finetune")
"""Kinds of jobs that can stop and save."""
_moving = threading.Lock()
"""A key that is pressed twice moves two places: the second move waits for the first."""


def _chosen(panel: Dashboard) -> tuple[Home, Run] | None:
    run = panel.selection.run
    return None if run is None else (panel.panel_app.home, run)


def cancel(panel: Dashboard) -> None:
    """Asks where something would be lost; what can save its work is asked in which way it is to stop."""
    from fada_tui.screens.confirm import Choice, ConfirmScreen

    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen

    def answered(key: str | None) -> None:
        if key is not None:
            panel.panel_app.start_task(f"Cancel #{run.id}", lambda: _cancel(home, run.id, key == "s"))

    users = [f"#{one.id}" for one in panel.panel_app.runs.waiting if run.id in one.after]
    if not run.is_active and not users:
        panel.panel_app.start_task(f"Cancel #{run.id}", lambda: _forgo(home, run.id))
        return
    choices = [Choice("y", "cancel it")]
    consequence = "It has not begun."
    if run.is_active and run.kind in SAVES:
        unit = "the checkpoint that it writes first" if run.kind == "finetune" else "the next question"
        choices = [Choice("s", "stop and save"), Choice("y", "cancel it now")]
        consequence = f"Stop and save: R goes on from {unit}. Cancel: R goes on from what it saved last."
    elif run.is_active and run.task == "download":
        consequence = "What has come is kept: R goes on from there."
    elif run.is_active:
        consequence = "It is ended, and cannot be resumed."
    if users:
        consequence += f" Waiting for it: {' '.join(users)}."
    panel.app.push_screen(ConfirmScreen(f"Cancel #{run.id} {run.kind} {run.label}?", consequence, *choices), answered)


def _cancel(home: Home, run_id: int, save: bool) -> list[str]:
    from backends.jobs import queue

    return queue.cancel(home, run_id, save=save)


def _forgo(home: Home, run_id: int) -> list[str]:
    """It had not begun: nothing is lost, so nothing was asked."""
    return [*_cancel(home, run_id, save=False), "r queues it again"]


def pause(panel: Dashboard) -> None:
    """Stop a live job's processes, or let them go on."""
    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen
    if run.state == "paused":
        panel.panel_app.start_task(f"#{run.id}", lambda: _go_on(home, run.id))
    else:
        panel.panel_app.start_task(f"Pause #{run.id}", lambda: _pause(home, run.id))


def _pause(home: Home, run_id: int) -> list[str]:
    from backends.jobs import queue

    queue.pause(home, run_id)
    return ["paused. It keeps its memory: pausing frees no VRAM, so nothing else fits because of it.", "P goes on"]


def _go_on(home: Home, run_id: int) -> list[str]:
    from backends.jobs import queue

    queue.resume(home, run_id)
    return ["goes on"]


def retry(panel: Dashboard) -> None:
    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen

    def task() -> list[str]:
        from backends.jobs import queue

        return [f"queued as #{queue.retry(home, run.id)}"]

    panel.panel_app.start_task(f"Retry #{run.id}", task)


def resume(panel: Dashboard) -> None:
    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen
    if run.state == "paused":
        pause(panel)
        return

    def task() -> list[str]:
        from backends.jobs import queue

        queue.resume(home, run.id)
        return ["queued to go on where it stopped"]

    panel.panel_app.start_task(f"Resume #{run.id}", task)


def hold(panel: Dashboard) -> None:
    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen

    def task() -> list[str]:
        from backends.jobs import queue

        (queue.release if run.state == "held" else queue.hold)(home, run.id)
        return ["let go" if run.state == "held" else "held back until h"]

    panel.panel_app.start_task(f"#{run.id}", task)


def mover(steps: int) -> Callable[[Dashboard], None]:
    """A command that moves a waiting job down (1) or up (-1) in the queue."""

    def move(panel: Dashboard) -> None:
        if (chosen := _chosen(panel)) is not None:
            home, run = chosen
            panel.pick(run.id)  # so that the cursor goes along with it, whatever starts meanwhile
            panel.panel_app.start_task(f"Move #{run.id}", lambda: _move(home, run.id, steps), quiet=True)

    return move


def _move(home: Home, run_id: int, steps: int) -> list[str]:
    """One place on, past its neighbour as the queue is now; at the end of it, nowhere."""
    from contextlib import closing

    from backends.jobs import queue
    from db.connect import connect
    from db.runs.queries import runs_in_state
    from db.runs.states import WAITING_STATES

    with _moving:
        with closing(connect(home.runs_db, read_only=True)) as conn:
            order = [run.id for run in runs_in_state(conn, *WAITING_STATES)]
        place = order.index(run_id) + steps if run_id in order else -1
        if not 0 <= place < len(order):
            return []
        return queue.move(home, *((order[place], run_id) if steps > 0 else (run_id, order[place])))


def label(panel: Dashboard) -> None:
    """Tags and note of the run, in a form."""
    from fada_tui.screens.labels import LabelsForm

    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen
    known = [tag for one in panel.panel_app.runs.runs for tag in one.tags]

    def written(said: list[str] | None) -> None:
        if said is not None:
            panel.panel_app.start_task(f"#{run.id}", lambda: said)

    panel.app.push_screen(LabelsForm(home, run, known), written)


def archive(panel: Dashboard) -> None:
    if (chosen := _chosen(panel)) is None:
        return
    home, run = chosen

    def task() -> list[str]:
        from backends.jobs.labelling import archive as put_away

        put_away(home, [run.id])
        return [f"put away, nothing of it is lost; Z lists it and brings it back, as does `fada unarchive {run.id}`"]

    panel.panel_app.start_task(f"Archive #{run.id} {what(run)}", task)


def bring_back(panel: Dashboard, run: Run) -> None:
    """Into the lists again."""
    home = panel.panel_app.home

    def task() -> list[str]:
        from backends.jobs.labelling import archive as put_away

        put_away(home, [run.id], archived=False)
        return ["is in the Queue again"]

    panel.panel_app.start_task(f"#{run.id} {what(run)}", task)


def archived(panel: Dashboard) -> None:
    """The runs that were put away."""
    from fada_tui.screens.archived import ArchivedScreen

    panel.app.push_screen(ArchivedScreen(panel))


def disk(panel: Dashboard) -> None:
    """What lies on the disk, and making room."""
    from fada_tui.screens.disk import DiskScreen

    panel.app.push_screen(DiskScreen(panel))


def prune(panel: Dashboard, runs: list[int] | None, done: Callable[[], None]) -> None:
    """Remove the checkpoints that nobody needs of these runs; None: of all, and what killed removals have left.

    ``done`` is called in the worker's thread.
    """
    home = panel.panel_app.home

    def task() -> list[str]:
        from contextlib import closing

        from backends.jobs.disk import prune as prune_run
        from backends.jobs.disk import sweep
        from backends.jobs.store import run_ids
        from db.connect import connect
        from fada_tui.format import size

        try:
            with closing(connect(home.runs_db)) as conn:
                freed = sum(prune_run(conn, home, one) for one in (run_ids(home) if runs is None else runs))
            return [f"freed {size(freed + (sweep(home) if runs is None else 0))}"]
        finally:
            done()

    panel.panel_app.start_task("Prune" if runs is None else f"Prune #{runs[0]}", task)


def delete(panel: Dashboard) -> None:
    """Asks first, and says what it frees."""
    if (chosen := _chosen(panel)) is not None:
        delete_run(panel, chosen[1])


def delete_run(panel: Dashboard, run: Run, done: Callable[[], None] = lambda: None) -> None:
    """``done`` is called in the worker's thread."""
    from fada_tui.screens.delete import DeleteScreen

    home = panel.panel_app.home
    screen = DeleteScreen(home, run)

    def task() -> list[str]:
        from backends.jobs import queue

        try:
            return queue.remove(home, run.id, force=bool(screen.users))
        finally:
            done()

    def answered(key: str | None) -> None:
        if key is not None:
            panel.panel_app.start_task(f"Delete #{run.id}", task)

    panel.app.push_screen(screen, answered)
