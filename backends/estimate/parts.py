"""One component of a job's memory, with how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Bytes: the least, the likely and the most. ``how`` says in words what was counted."""

    name: str
    low: int
    likely: int
    high: int
    how: str = ""

    def to_dict(self) -> dict[str, int | str]:
        return {"name": self.name, "low": self.low, "likely": self.likely, "high": self.high, "how": self.how}


def part(name: str, likely: float, down: float = 1.0, up: float = 1.0, how: str = "") -> Part:
    """A part whose ends are the likely size times ``down`` and ``up``."""
    return Part(name, int(likely * down), int(likely), int(likely * up), how)
