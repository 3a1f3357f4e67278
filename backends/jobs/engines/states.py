"""The state of a run that was handed to an engine, from its submission and its own records. Standard library only.

No lock tells whether it is alive: the engine's word does, and nothing is over before the engine has said its last.
The run's own exit record goes before that word, which is only about the batch script.
"""

from __future__ import annotations

from pathlib import Path

from backends.jobs.ends import ENDED_BY_SIGNAL, ended_as, finished_by_itself, stopped_and_saved
from backends.jobs.engines.submission import NOT_MINE, REFUSED, UNKNOWN, Submission
from backends.jobs.store import Attempt, Control

_BY_SLURM = {
    "TIMEOUT": ("failed", "ended at its time limit"),
    "DEADLINE": ("failed", "ended at its deadline"),
    "OUT_OF_MEMORY": ("failed", "ended for using more host memory than it had asked for"),
    "PREEMPTED": ("failed", "ended in favour of another job"),
    "CANCELLED": ("cancelled", "cancelled in the cluster's queue"),
}
"""Words of Slurm's that say why a job was told to end."""
_NODE = {
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "REVOKED": "another cluster took it",
}


def of_submission(
    folder: Path, control: Control, attempt: Attempt | None, submission: Submission
) -> tuple[str, str | None]:
    """State and reason."""
    if submission.over is not None:
        return _over(folder, control, attempt, submission)
    if attempt is not None and attempt.worker is not None:
        stopped = submission.phase == "suspended" or (attempt.paused is not None and attempt.ended is None)
        return ("paused" if stopped else "running"), submission.trouble
    if attempt is not None or submission.phase == "running":
        return "starting", submission.trouble
    if submission.phase == "suspended":
        return "paused", submission.trouble
    held = control.held and submission.held and control.cancel is None
    return ("held" if held else "queued"), None


def _over(folder: Path, control: Control, attempt: Attempt | None, submission: Submission) -> tuple[str, str | None]:
    if submission.over == REFUSED:
        if control.cancel is not None:
            return "cancelled", control.cancel
        return "failed", f"{submission.engine} did not take it: {submission.message}"
    told = _BY_SLURM.get(submission.over or "")
    where = f"{submission.engine}'s job {submission.job}"
    if attempt is not None and attempt.ended is not None:
        name, reason = ended_as(attempt)
        # Slurm tells the runner and what it runs at once: whichever hears it first.
        by_signal = attempt.signal is not None or (reason or "").startswith(ENDED_BY_SIGNAL)
        if told is not None and name == "failed" and by_signal:
            return told[0], f"{told[1]} ({where})"
        return name, reason
    stopped = stopped_and_saved(folder) if attempt is not None else None
    if stopped is not None:
        return "cancelled", f"{stopped} (its runner had died)"
    if attempt is not None and finished_by_itself(folder):
        return "done", "its runner died; the worker's own last event says finished and its results are whole"
    if control.cancel is not None:
        return "cancelled", control.cancel
    if told is not None:
        return told[0], f"{told[1]} ({where})"
    return _without_record(attempt, submission, where)


def _without_record(attempt: Attempt | None, submission: Submission, where: str) -> tuple[str, str]:
    """Nothing that it left says how it ended."""
    over = submission.over or ""
    if over in _NODE:
        return "lost", f"{_NODE[over]} ({where})"
    if over == UNKNOWN:
        return "lost", f"{where} is not known there any more, and it left no exit record"
    if attempt is not None and submission.exit_code == NOT_MINE:
        return "lost", f"{submission.engine} ended it and started it once more ({where}); nothing is run twice"
    how = f"signal {submission.signal}" if submission.signal else f"exit code {submission.exit_code}"
    if attempt is None and over == "FAILED":
        return "failed", f"the batch script ended with {how} before the job began ({where}); its log may say why"
    return "lost", f"it left no exit record; {where} is {over}, {how}"
