"""The one retry after memory ran out: how much more to reserve, and how much less to ask at once."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.jobs.settings import TRAINING
from backends.jobs.store import Attempt, Control

GROWTH = 1.25
_KINDS = ("eval", "finetune", "convert")
"""Jobs that go on where they stopped; of a command of one's own nothing is guessed."""
_VMSTAT = Path("/proc/vmstat")
ERROR = "out_of_memory"
"""``error`` in a worker's `failed` event."""


def ran_out(spec: Mapping[str, Any], last_event: Mapping[str, Any]) -> bool:
    """Whether our own worker's last word is that memory ran out."""
    return spec.get("kind") in _KINDS and last_event.get("kind") == "failed" and last_event.get("error") == ERROR


def oom_kills() -> int:
    """How many processes the kernel has ended since boot because memory ran out; 0 where it does not say."""
    try:
        lines = _VMSTAT.read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    except (OSError, ValueError, IndexError):
        return 0


def was_killed(spec: Mapping[str, Any], ended: Attempt, kills: int) -> bool:
    """Whether the kernel ended our own worker because the host's memory ran out: it could say no last word.

    Args:
        kills: How many processes it ended for that reason while the worker ran.
    """
    return spec.get("kind") in _KINDS and ended.signal == signal.SIGKILL and kills > 0


def once_more(spec: Mapping[str, Any], control: Control, ended: Attempt) -> dict[str, Any] | None:
    """Changes to the run's control file for another attempt, or None: nobody may want it, or it was tried before.

    The reservation grows by a quarter over what was held or reserved, up to what the machine can ever give; the batch
    is halved, that of a training into a divisor of itself, for its accumulation to make up for it.
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
    batch = _smaller_batch(spec, control)
    if batch is not None:
        changes["batch"] = batch
    return changes


def _smaller_batch(spec: Mapping[str, Any], control: Control) -> int | None:
    """None where the job has no batch, or a training one of 1 already."""
    if spec.get("kind") == "eval":
        batch = control.batch or int((spec.get("generation") or {}).get("batch_size") or 1)
        return max(1, batch // 2)
    whole = int((spec.get("training") or {}).get("batch_size") or TRAINING["batch_size"])
    if spec.get("kind") != "finetune" or whole == 1:
        return None
    half = max(1, (control.batch or whole) // 2)
    return next(size for size in range(half, 0, -1) if whole % size == 0)


def with_batch(spec: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """The spec with another batch; a training's weights are still changed after as many samples as before."""
    if spec.get("kind") != "finetune":
        return {**spec, "generation": {**(spec.get("generation") or {}), "batch_size": batch}}
    training = spec.get("training") or {}
    times = int(training.get("batch_size") or TRAINING["batch_size"]) // batch * int(training.get("accumulation") or 1)
    return {**spec, "training": {**training, "batch_size": batch, "accumulation": times}}


def said(changes: Mapping[str, Any]) -> str:
    """The message that goes with these changes."""
    gib = changes["reserve"] / (1 << 30)
    batch = f" and a batch of {changes['batch']}" if "batch" in changes else ""
    return f"out of memory: tried once more, as attempt {changes['attempt']}, with {gib:.1f} GiB reserved{batch}"
