"""What the watch knows of a run while it looks at it, and of time between its looks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from backends.jobs.engines.submission import Submission, read_submission
from backends.jobs.store import Control, read_control
from db.home import Home


@dataclass(frozen=True)
class Tended:
    """A run of an engine that is not over."""

    run: int
    state: str
    folder: Path
    control: Control
    submission: Submission | None
    """None where the attempt that is wanted was not handed on yet."""
    reason: str | None = None
    """Why it waits, as the index says now."""


def tended(home: Home, run: int, state: str, reason: str | None) -> Tended:
    folder = home.run_dir(run)
    control = read_control(folder)
    submission = read_submission(folder)
    if submission is not None and (not submission.covers(control.attempt) or submission.over is not None):
        submission = None
    return Tended(run, state, folder, control, submission, reason)


class Patience:
    """Since when something has been waited for. Forgotten with the process: then it is waited for anew."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], float] = {}

    def over(self, what: str, run: int, seconds: float) -> bool:
        """Whether that was waited for so long; waiting begins with the first question."""
        now = time.monotonic()
        return now - self._since.setdefault((what, run), now) >= seconds

    def forget(self, run: int, what: str | None = None) -> None:
        for key in [key for key in self._since if key[1] == run and what in (None, key[0])]:
            del self._since[key]
