"""What Slurm's commands print, read: ``squeue --json`` of releases 21.08 to 24.11, ``scontrol show job``, ``sacct``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from backends.jobs.engines.base import EngineError, Phase, Word

_PHASES: Final[dict[str, Phase]] = {
    **dict.fromkeys(("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"), "waiting"),
    **dict.fromkeys(
        ("CONFIGURING", "RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "RESIZING", "STOPPED"), "running"
    ),
    "SUSPENDED": "suspended",
    **dict.fromkeys(("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"), "over"),
    **dict.fromkeys(("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED"), "over"),
}
_FLAGS = (
    "COMPLETING",
    "CONFIGURING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "SIGNALING",
)
"""Newer releases list these beside the state; nothing is over, and nothing runs yet, while one of them holds."""
_MOST_TASKS = 100_000
_NEVER = "DependencyNeverSatisfied"
"""Of one that waits, or that was cancelled for it: a cluster can be told to do that by itself."""


@dataclass(frozen=True)
class Listed:
    """One entry of the queue. ``tasks`` are those of an array that wait, which share one entry."""

    job: str
    """``812``, or ``812_3`` of an array."""
    base: str
    """Without the task."""
    label: str
    word: Word
    tasks: frozenset[int] | None = None


def in_queue(text: str) -> list[Listed]:
    """The entries of ``squeue --json``.

    Raises:
        EngineError: It is no such document.
    """
    start = text.find("{")
    try:
        jobs = json.loads(text[max(0, start) :])["jobs"]
        return [_listed(job) for job in jobs]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"squeue --json: not understood ({type(error).__name__}: {error})") from error


def _listed(job: dict[str, Any]) -> Listed:
    array, task = _number(job.get("array_job_id")), _number(job.get("array_task_id"))
    waiting = job.get("array_task_string") or ""
    state = _state(job.get("job_state"))
    code, number = _exit(job.get("exit_code"))
    reason = job.get("state_reason")
    word = Word(
        phase=_phase(state),
        state=state,
        reason=None if reason in (None, "", "None") else str(reason),
        exit_code=code,
        signal=number,
        restarts=_number(job.get("restart_cnt")) or 0,
        held=reason in ("JobHeldUser", "JobHeldAdmin"),
        never=reason == _NEVER,
    )
    base = str(array) if array else str(job["job_id"])
    label = str(job.get("name") or "")
    if array and task is None:
        return Listed(base, base, label, word, _tasks(waiting))
    return Listed(f"{base}_{task}" if array else base, base, label, word)


def of_scontrol(text: str) -> Word | None:
    """One line of ``scontrol --oneliner show job``."""
    fields = dict(re.findall(r"(?:^|\s)(JobState|Reason|ExitCode|Restarts)=(\S*)", text))
    state = _state(fields.get("JobState"))
    if not state:
        return None
    reason = fields.get("Reason")
    code, number = _pair(fields.get("ExitCode", ""))
    held = reason in ("JobHeldUser", "JobHeldAdmin")
    restarts = int(fields.get("Restarts") or 0)
    why = None if reason == "None" else reason
    return Word(_phase(state), state, why, code, number, restarts, held, reason == _NEVER)


def of_sacct(job: str, text: str) -> Word | None:
    """The job's own line of ``sacct --parsable2 --format=JobID,State,ExitCode``, not those of its steps."""
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) == 3 and parts[0] == job:
            state = _state(parts[1].split()[0] if parts[1] else "")
            code, number = _pair(parts[2])
            return Word(_phase(state), state, None, code, number)
    return None


def _state(value: Any) -> str:
    """The state that counts: newer releases list it with flags."""
    states = [value] if isinstance(value, str) else [str(one) for one in value or ()]
    states = [state.upper() for state in states if state]
    return next((state for state in states if state in _FLAGS), states[0] if states else "")


def _phase(state: str) -> Phase:
    """A state that this version does not know is no reason to call a job over."""
    return _PHASES.get(state, "running")


def _exit(value: Any) -> tuple[int | None, int | None]:
    """Exit code and signal: of older releases a wait status, of newer ones an object."""
    if isinstance(value, dict):
        number = (value.get("signal") or {}).get("id", value.get("signal"))
        return _number(value.get("return_code")), _number(number) or None
    status = _number(value)
    if status is None:
        return None, None
    return (status >> 8) & 0xFF, (status & 0x7F) or None


def _pair(text: str) -> tuple[int | None, int | None]:
    """``7:0`` as code and signal."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    return (int(found[1]), int(found[2]) or None) if found else (None, None)


def _number(value: Any) -> int | None:
    """A number of older releases, or ``{"set", "infinite", "number"}`` of newer ones."""
    if isinstance(value, dict):
        return int(value["number"]) if value.get("set") and not value.get("infinite") else None
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else None


def _tasks(text: str) -> frozenset[int]:
    """``0-2,5,8-12:2%4`` as numbers."""
    found: set[int] = set()
    for part in text.split("%")[0].strip("[]").split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part.strip())
        if match:
            first, last = int(match[1]), int(match[2] or match[1])
            found |= set(range(first, min(last, first + _MOST_TASKS) + 1, int(match[3] or 1)))
    return frozenset(found)
