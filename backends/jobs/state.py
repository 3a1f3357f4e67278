"""What state a run is in, read from its directory alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.jobs import lock
from backends.jobs.ends import ended_as, finished_by_itself, stopped_and_saved
from backends.jobs.engines.states import of_submission
from backends.jobs.engines.submission import read_submission
from backends.jobs.process import boot_id
from backends.jobs.store import Attempt, Control, read_attempt, read_control


@dataclass(frozen=True)
class State:
    """``name`` is one of db.runs.rows.STATES."""

    name: str
    reason: str | None
    control: Control
    attempt: Attempt | None


def derive(folder: Path) -> State:
    """The state of a run. The exit record wins over a lock that a stray grandchild still holds.

    Of a run that was handed to an engine no lock is held here: its submission and its own records say what it is.
    """
    control = read_control(folder)
    submission = read_submission(folder)
    attempt = read_attempt(folder, control.attempt)
    if submission is not None and submission.covers(control.attempt):
        return State(*of_submission(folder, control, attempt, submission), control, attempt)
    held = lock.is_held(folder / "lock")
    if attempt is None:
        attempt = read_attempt(folder, control.attempt)
    if attempt is None:
        return _not_begun(folder, control, held)
    if attempt.ended is None and not held:
        # It may have ended between the two looks.
        attempt = read_attempt(folder, control.attempt) or attempt
    if attempt.ended is not None:
        return State(*ended_as(attempt), control, attempt)
    if held:
        return State(_alive(attempt), None, control, attempt)
    return State(*_vanished(folder, attempt), control, attempt)


def _alive(attempt: Attempt) -> str:
    if attempt.worker is None:
        return "starting"
    return "running" if attempt.paused is None else "paused"


def _not_begun(folder: Path, control: Control, held: bool) -> State:
    if not folder.is_dir():
        return State("lost", "its run directory is gone", control, None)
    if held:
        return State("starting", None, control, None)
    if control.cancel is not None:
        return State("cancelled", control.cancel, control, None)
    return State("held" if control.held else "queued", None, control, None)


def _vanished(folder: Path, attempt: Attempt) -> tuple[str, str]:
    """The runner left no exit record, so the exit code cannot be known."""
    stopped = stopped_and_saved(folder)
    if stopped is not None:
        return "cancelled", f"{stopped} (its runner had died)"
    if finished_by_itself(folder):
        return "done", "its runner died; the worker's own last event says finished and its results are whole"
    cancel = read_control(folder).cancel
    if cancel is not None:
        return "cancelled", f"{cancel} (its runner had died, so its exit code is not known)"
    if attempt.runner and attempt.runner.boot != boot_id():
        return "lost", "the machine was restarted while it ran"
    return "lost", "its runner died, so how it ended is not known"
