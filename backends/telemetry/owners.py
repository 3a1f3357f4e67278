"""Whose memory of a card: by job, by user, and what nobody can be named for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.telemetry.sample import Gpu


@dataclass(frozen=True)
class Shares:
    """Bytes of one card. All but ``free`` add up to what is in use."""

    by_run: Mapping[int, int] = field(default_factory=dict)
    by_user: Mapping[str, int] = field(default_factory=dict)
    """Of processes that are no job's, the user's own among them."""
    unknown: int = 0
    """In use, by the driver itself or by processes that cannot be seen from here."""
    free: int = 0
    silent_runs: tuple[int, ...] = ()
    """Runs that are on the card with processes that do not tell what they hold."""


def shares(gpu: Gpu) -> Shares | None:
    """None where the card does not tell its memory.

    What processes say is cut where it comes to more than the card says is in use: shared pages are counted twice.
    """
    if gpu.memory_total is None or gpu.memory_used is None:
        return None
    by_run: dict[int, int] = {}
    by_user: dict[str, int] = {}
    silent: set[int] = set()
    left = max(0, gpu.memory_used)
    # Jobs first: where there is not enough for all, it is theirs.
    for process in sorted(gpu.processes, key=lambda process: process.run is None):
        held = min(left, max(0, process.memory or 0))
        if process.run is not None:
            by_run[process.run] = by_run.get(process.run, 0) + held
            if process.memory is None:
                silent.add(process.run)
        elif process.user is not None and process.memory is not None:
            by_user[process.user] = by_user.get(process.user, 0) + held
        else:
            continue
        left -= held
    return Shares(by_run, by_user, left, max(0, gpu.memory_total - gpu.memory_used), tuple(sorted(silent)))
