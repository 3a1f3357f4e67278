"""The one retry after memory ran out: how much more to reserve, and how much less to ask at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.jobs.store import Attempt, Control

GROWTH = 1.25
_KINDS = ("eval", "finetune", "convert")
"""Jobs that go on where they stopped; of a command of one's own nothing is guessed."""
ERROR = "out_of_memory"
"""``error`` in a worker's `failed` event."""


def ran_out(spec: Mapping[str, Any], last_event: Mapping[str, Any]) -> bool:
    """Whether our own worker's last word is that memory ran out."""
    return spec.get("kind") in _KINDS and last_event.get("kind") == "failed" and last_event.get("error") == ERROR


def once_more(spec: Mapping[str, Any], control: Control, ended: Attempt) -> dict[str, Any] | None:
    """Changes to the run's control file for another attempt, or None: nobody may want it, or it was tried before.

    The reservation grows by a quarter over what was held or reserved, up to what the machine can ever give; an
    evaluation's batch is halved.
    """
    unwanted = control.cancel is not None or control.stop
    if unwanted or control.out_of_memory is not None or control.attempt != ended.number:
        return None
    reserve = spec.get("reserve") or {}
    before = control.reserve or int(reserve.get("bytes") or 0)
    most = int(reserve.get("most") or before)
    changes: dict[str, Any] = {
        "attempt": ended.number + 1,
        "out_of_memory": ended.number,
        "reserve": max(before, min(most, int(max(before, ended.peak_bytes or 0) * GROWTH))),
        "paused": False,
    }
    if spec.get("kind") == "eval":
        batch = control.batch or int((spec.get("generation") or {}).get("batch_size") or 1)
        changes["batch"] = max(1, batch // 2)
    return changes


def said(changes: Mapping[str, Any]) -> str:
    """The message that goes with these changes."""
    gib = changes["reserve"] / (1 << 30)
    batch = f" and a batch of {changes['batch']}" if "batch" in changes else ""
    return f"out of memory: tried once more, as attempt {changes['attempt']}, with {gib:.1f} GiB reserved{batch}"
