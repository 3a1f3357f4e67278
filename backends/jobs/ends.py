"""How an attempt ended, by its own record and by the worker's own last words. Standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json
from backends.jobs.store import Attempt

_TAIL = 1 << 16
ENDED_BY_SIGNAL = "its runner was ended by signal"
"""Begins the reason of an attempt whose runner somebody told to end."""


def ended_as(attempt: Attempt) -> tuple[str, str | None]:
    """State and reason of an attempt that has an exit record."""
    if attempt.cancelled is not None:
        return "cancelled", attempt.cancelled
    if attempt.reason:
        return "failed", attempt.reason
    if attempt.exit_code == 0:
        return "done", None
    if attempt.signal is not None:
        return "failed", f"ended by signal {attempt.signal}"
    return "failed", f"exit code {attempt.exit_code}"


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
