"""What is known of a run that was handed to an engine: submission.json in its directory. Standard library only.

It has one writer, the dispatcher's watch; with it the run's state follows from the directory alone, as everywhere.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from backends.jobs.files import read_json, write_json

UNKNOWN = "UNKNOWN"
"""The last word on a job that the engine does not know any more."""
NOT_MINE = 75
"""Exit code of a batch script that found its attempt taken by another."""
REFUSED = "REFUSED"
"""The last word on one that it did not take."""


@dataclass(frozen=True)
class Submission:
    """One job of an engine. It stands for the attempts from ``attempt`` to ``attempt + restarts``."""

    engine: str
    attempt: int
    label: str
    """Its name in the engine's queue."""
    submitted: float
    """Unix seconds."""
    job: str | None = None
    """None while it is being submitted, or where that was broken off."""
    restarts: int = 0
    phase: str = "waiting"
    """``waiting``, ``running`` or ``suspended``."""
    state: str = ""
    """In the engine's own words."""
    held: bool = False
    over: str | None = None
    """The engine's last word; None until nothing of the job can run any more."""
    exit_code: int | None = None
    """Of the batch script, by the engine."""
    signal: int | None = None
    message: str | None = None
    """Why it was refused."""
    trouble: str | None = None
    """Why nothing new is known of it: its engine does not answer."""
    index: int = 0
    """Which task of ``of`` it is, where several runs were handed on together."""
    of: int = 1

    def covers(self, attempt: int) -> bool:
        """Whether it is about that attempt, not about an earlier one."""
        return self.attempt <= attempt <= self.attempt + self.restarts


def read_submission(folder: Path) -> Submission | None:
    record = read_json(folder / "submission.json")
    if record is None:
        return None
    try:
        return Submission(**{key: record[key] for key in Submission.__dataclass_fields__ if key in record})
    except TypeError:
        return None


def write_submission(folder: Path, submission: Submission) -> None:
    write_json(folder / "submission.json", asdict(submission))


def withdraw(folder: Path) -> None:
    """The run is to be handed on again."""
    (folder / "submission.json").unlink(missing_ok=True)
