"""Runners that end before they have begun: tried again, ever more slowly, or left to a newer version of the program."""

from __future__ import annotations

import time

from backends.jobs.code import Code

TRIES = 3
"""So often a run is started at once again: a runner that was killed in its first moment is no reason to wait."""
_LONGEST_S = 60.0


class Replaced(Exception):
    """The program was replaced under this process, and what it starts does not begin."""


class Starts:
    """How often one dispatcher has started the attempts that are still queued."""

    def __init__(self) -> None:
        self._code = Code("backends", "db")
        self._count: dict[tuple[int, int], int] = {}
        self._not_before: dict[tuple[int, int], float] = {}

    def note(self, run_id: int, attempt: int) -> None:
        """It was started just now."""
        key = (run_id, attempt)
        count = self._count[key] = self._count.get(key, 0) + 1
        pause = 0.0 if count < TRIES else min(_LONGEST_S, 2.0 ** (count - TRIES))
        self._not_before[key] = time.monotonic() + pause

    def waits(self, run_id: int, attempt: int) -> str | None:
        """Why a run that is queued again must wait for its next try; None where it need not.

        Raises:
            Replaced: It does not begin, and the program on disk is not the one that tries it.
        """
        key = (run_id, attempt)
        if self._count.get(key, 0) < TRIES:
            return None
        if self._code.replaced():
            raise Replaced(f"#{run_id} does not begin, and the program was replaced while this dispatcher ran")
        if time.monotonic() < self._not_before[key]:
            return f"its runner ended before it began ({self._count[key]} times; `fada log {run_id}` may say why)"
        return None
