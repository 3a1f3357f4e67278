"""What a merge could not decide, who decides it, and in words what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_SHOWN = 100

Side = Literal["ours", "theirs"]
Choices = Side | Mapping[int, Side] | None
"""How conflicts are settled: all one way, or each by its index among those of a merge without choices."""


@dataclass(frozen=True)
class Conflict:
    """One place that both sides changed differently. A text is empty where that side has nothing there.

    ``line`` is 1-based, in ours; ``what`` is for instance ``Qwen3-VL-8B: Status``, or ``line``.
    """

    line: int
    ours: str
    theirs: str
    base: str
    what: str


@dataclass(frozen=True)
class Merged:
    """``data`` is the merged note while ``conflicts`` (those that were not settled) is empty.

    ``comes`` and ``goes`` say in words what theirs and ours changed; open conflicts are in neither.
    """

    data: bytes
    conflicts: tuple[Conflict, ...]
    comes: tuple[str, ...]
    goes: tuple[str, ...]

    @property
    def incoming(self) -> int:
        return len(self.comes)

    @property
    def outgoing(self) -> int:
        return len(self.goes)


class Settling:
    """Collects the conflicts of a merge and its words."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.count = 0
        self.conflicts: list[Conflict] = []
        self.comes: list[str] = []
        self.goes: list[str] = []

    def settle(self, conflict: Conflict) -> Side:
        """The side that was chosen; an open conflict is kept, and ours stands in for it."""
        choice = self.choices if isinstance(self.choices, str) else (self.choices or {}).get(self.count)
        self.count += 1
        if choice is None:
            self.conflicts.append(conflict)
            return "ours"
        was, now = (conflict.theirs, conflict.ours) if choice == "ours" else (conflict.ours, conflict.theirs)
        what = f"line {conflict.line}" if conflict.what == "line" else conflict.what
        self.words(choice).append(f"{what}: {shown(was)} → {shown(now)}")
        return choice

    def said(self) -> tuple[int, int, int]:
        """How much was decided and said so far."""
        return self.count, len(self.comes), len(self.goes)

    def words(self, side: Side) -> list[str]:
        return self.goes if side == "ours" else self.comes


def short(text: str) -> str:
    """Enough of a text to know it again."""
    text = text.strip()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def shown(text: str | None) -> str:
    return short(text or "") or "(empty)"
