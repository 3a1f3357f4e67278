"""What every engine does: take an attempt of a run, say what became of it, end it, and say what would fit it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from backends.jobs.admission import Capacity

LOCAL = "local"
"""The name of the engine that is this machine; no other can have it."""
Phase = Literal["waiting", "running", "suspended", "over"]


class EngineError(Exception):
    """It could not be asked, or it did not do it; ``final`` where asking again will not help."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True)
class Order:
    """One attempt of a run that is to be taken."""

    run: int
    attempt: int
    spec: Mapping[str, Any]
    reserve: int
    """Bytes."""
    after: tuple[str, ...] = ()
    """Jobs of the same engine that must be over first."""
    after_any: bool = False


@dataclass(frozen=True)
class Word:
    """What an engine says of a job."""

    phase: Phase
    state: str
    """In the engine's own words, for instance ``COMPLETING``."""
    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    restarts: int = 0
    """How often it was put back into the queue after it had begun."""
    held: bool = False
    never: bool = False
    """What it waits for cannot happen any more."""


class Engine(Protocol):
    """``name`` is the one in config.toml, or :data:`LOCAL`."""

    @property
    def name(self) -> str: ...

    def capacity(self) -> Capacity:
        """What one job can be given at most, and what is free of it where that is known."""
        ...

    def submit(self, orders: Sequence[Order], label: str) -> list[str | None]:
        """Take these attempts, as one submission; the job of each, None of one that was not taken.

        Args:
            label: A name under which the jobs can be found again.

        Raises:
            EngineError: None of them was taken, or that is not known.
        """
        ...

    def poll(self, jobs: Collection[str]) -> dict[str, Word | None]:
        """A word on each job; None of one that the engine does not know.

        Raises:
            EngineError: It did not answer.
        """
        ...

    def cancel(self, jobs: Collection[str]) -> None:
        """End them.

        Raises:
            EngineError: It did not answer.
        """
        ...
