"""What state a run is in, read from its directory alone."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.jobs import lock
from backends.jobs.files import read_json
from backends.jobs.process import boot_id
from backends.jobs.store import Attempt, Control, read_attempt, read_control

_TAIL = 1 << 16


@dataclass(frozen=True)
class State:
    """``name`` is one of db.runs.rows.STATES."""

    name: str
    reason: str | None
    control: Control
    attempt: Attempt | None


def derive(folder: Path) -> State:
    """The state of a run. The exit record wins over a lock that a stray grandchild still holds."""
    control = read_control(folder)
    attempt = read_attempt(folder, control.attempt)
    held = lock.is_held(folder / "lock")
    if attempt is None:
        attempt = read_attempt(folder, control.attempt)
    if attempt is None:
        return _not_begun(folder, control, held)
    if attempt.ended is None and not held:
        # It may have ended between the two looks.
        attempt = read_attempt(folder, control.attempt) or attempt
    if attempt.ended is not None:
        return State(*_ended(attempt), control, attempt)
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


def _ended(attempt: Attempt) -> tuple[str, str | None]:
    if attempt.cancelled is not None:
        return "cancelled", attempt.cancelled
    if attempt.reason:
        return "failed", attempt.reason
    if attempt.exit_code == 0:
        return "done", None
    if attempt.signal is not None:
        return "failed", f"ended by signal {attempt.signal}"
    return "failed", f"exit code {attempt.exit_code}"


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


def finished_by_itself(folder: Path) -> bool:
    """A worker of ours whose last event is `finished` and whose results are whole."""
    spec = read_json(folder / "spec.json") or {}
    if spec.get("kind") not in ("eval", "finetune", "tool", "convert"):
        return False
    event = last_event(folder)
    if event.get("kind") != "finished" or (event.get("summary") or {}).get("stopped"):
        return False
    if spec["kind"] != "eval":
        return True
    return bool((read_json(folder / "scores.json") or {}).get("finished"))


def stopped_and_saved(folder: Path) -> str | None:
    """Where a worker stopped because it was asked to save and stop, in words; None where it did not."""
    event = last_event(folder)
    summary = event.get("summary") if event.get("kind") == "finished" else None
    if not isinstance(summary, dict) or not summary.get("stopped"):
        return None
    steps = summary.get("steps")
    return (
        f"stopped and saved at step {steps}" if steps is not None else f"stopped and saved after {summary['stopped']}"
    )


def last_event(folder: Path) -> dict[str, Any]:
    """The last line of events.jsonl where it is whole; else empty."""
    try:
        with open(folder / "events.jsonl", "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            data = file.read()
    except OSError:
        return {}
    if not data.endswith(b"\n"):
        return {}
    try:
        event = json.loads(data.rstrip(b"\n").rsplit(b"\n", 1)[-1])
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
