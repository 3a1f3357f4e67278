"""How much memory a job reserves: what an earlier run like it was seen to take, else the estimate's upper end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from backends.catalog.reader import USER_FILE
from backends.estimate.foresee import Foreseen, foresee
from backends.estimate.recorded import memory_key
from backends.jobs.admission import MARGIN, Capacity, Claim, impossible
from backends.jobs.engines.config import that_fit
from backends.jobs.errors import QueueError
from backends.jobs.store import Control
from db.connect import connect
from db.home import Home

__all__ = ["memory_key", "reserved_bytes", "source_text", "with_reservation"]


def with_reservation(
    home: Home, parts: dict[str, Any], capacity: Capacity, reserve: int | None = None
) -> dict[str, Any]:
    """The parts with ``reserve``: bytes, where they come from, and the most that this machine could give.

    Args:
        reserve: What a person asked for; else it is foreseen as the forms and `fada estimate` foresee it.

    Raises:
        QueueError: The job can never fit this machine; both numbers are named.
    """
    found: Foreseen | None = None
    if reserve is not None:
        least = high = reserve
        how = source = "asked for"
    else:
        with closing(connect(home.runs_db, read_only=True)) as runs:
            found = foresee(parts, capacity.memory, runs, home.root / USER_FILE)
        _, least, high = found.interval
        how, source = found.source if found.seen else found.estimate.how, found.source
    hopeless = None if found and found.seen else impossible(Claim(0, least), capacity)
    if hopeless:
        raise QueueError(f"this job {hopeless} ({how})", hint=_instead(home, parts, least))
    return {
        **parts,
        "reserve": {
            "bytes": reserved_bytes(high, capacity),
            "exclusive": parts["kind"] == "finetune" and not parts.get("engine"),
            "how": how,
            "source": source,
            "memory": capacity.memory,
            "most": capacity.total - MARGIN,
        },
    }


def _instead(home: Home, parts: Mapping[str, Any], needed: int) -> str:
    """What to do where a job never fits: engines that would take it are named, none is taken unasked."""
    others = that_fit(home.config, needed)
    if not others or parts.get("engine"):
        return "take a smaller model or batch, or another machine"
    return f"it would fit {' or '.join(others)}; or take a smaller model or batch"


def reserved_bytes(high: int, capacity: Capacity) -> int:
    """Of the high end of what is foreseen, never more than the machine could give."""
    return min(high, capacity.total - MARGIN)


def source_text(spec: Mapping[str, Any], control: Control) -> str | None:
    """Where a run's reservation comes from, in words: ``seen in #12``, ``estimated``."""
    if control.reserve is not None:
        return f"raised after attempt {control.out_of_memory} ran out of memory"
    source = (spec.get("reserve") or {}).get("source")
    return str(source) if source else None
