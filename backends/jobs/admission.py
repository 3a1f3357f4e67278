"""Which waiting jobs may start: by reservation, not by measured free memory (jobs allocate late).

Pure functions on frozen data; the dispatcher feeds them from the queue and the telemetry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GIB = 1 << 30
MARGIN = GIB // 2
ASIDE = 2
"""So many downloads at a time: more do not come faster."""


@dataclass(frozen=True)
class Capacity:
    """What the machine offers. ``external`` is held by processes that are not ours (bytes)."""

    total: int
    external: int
    slots: int
    memory: str
    """``VRAM``, or ``RAM`` where there is no card."""
    whose: str = "this machine"


@dataclass(frozen=True)
class Claim:
    """What one job takes: its reservation, or the peak that was seen where that is more (bytes)."""

    run: int
    bytes: int
    exclusive: bool = False
    aside: bool = False
    """It only fetches: it takes no slot and no memory to speak of, and runs beside one that wants the machine alone."""


@dataclass(frozen=True)
class Verdict:
    """``reason`` says why it waits, or None where it may start."""

    run: int
    reason: str | None


def gigabytes(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def impossible(claim: Claim, capacity: Capacity) -> str | None:
    """Both numbers, where a job can never fit this machine."""
    if claim.bytes + MARGIN <= capacity.total:
        return None
    return f"needs {gigabytes(claim.bytes)} of {capacity.memory}, {capacity.whose} has {gigabytes(capacity.total)}"


def admit(waiting: Sequence[Claim], active: Sequence[Claim], capacity: Capacity) -> list[Verdict]:
    """A verdict for each waiting job, in queue order. A job that cannot start lets smaller ones behind it pass,
    but an exclusive one at the head keeps the machine from filling up again.
    """
    running = list(active)
    taken = [one for one in running if not one.aside]
    verdicts = []
    blocked_by: int | None = None
    for claim in waiting:
        if claim.aside:
            reason = _too_many(claim, running)
            verdicts.append(Verdict(claim.run, reason))
            running += [claim] if reason is None else []
            continue
        reason = (
            f"after #{blocked_by}, which needs the machine alone" if blocked_by else _why_not(claim, taken, capacity)
        )
        verdicts.append(Verdict(claim.run, reason))
        if reason is None:
            running.append(claim)
            taken.append(claim)
        elif claim.exclusive and blocked_by is None and impossible(claim, capacity) is None:
            blocked_by = claim.run
    return verdicts


def _too_many(claim: Claim, running: Sequence[Claim]) -> str | None:
    """One reason of its own to wait, for what runs aside."""
    others = [one.run for one in running if one.aside]
    return None if len(others) < ASIDE else "after " + ", ".join(f"#{run}" for run in others)


def _why_not(claim: Claim, running: Sequence[Claim], capacity: Capacity) -> str | None:
    hopeless = impossible(claim, capacity)
    if hopeless:
        return hopeless
    alone = next((other for other in running if other.exclusive), None)
    if alone:
        return f"#{alone.run} has the machine alone"
    if claim.exclusive and running:
        return "needs the machine alone; waits for " + ", ".join(f"#{other.run}" for other in running)
    if len(running) >= capacity.slots:
        return f"all {capacity.slots} slots are taken"
    free = capacity.total - capacity.external - sum(other.bytes for other in running) - MARGIN
    if claim.bytes > free:
        return f"needs {gigabytes(claim.bytes)} of {capacity.memory}, {gigabytes(max(0, free))} free"
    return None
