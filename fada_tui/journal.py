"""What the panel has said since it was opened: a toast goes after seconds, this stays."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

MOST = 500


@dataclass(frozen=True)
class Said:
    """One toast, whole. ``severity`` is information, warning or error; ``time`` in seconds since 1970."""

    title: str
    text: str
    severity: str = "information"
    time: float = field(default_factory=time.time)


class Journal:
    """The newest :data:`MOST` of them."""

    def __init__(self) -> None:
        self._said: deque[Said] = deque(maxlen=MOST)
        self.unread = 0
        """Errors that came since :meth:`read`."""

    def add(self, said: Said) -> None:
        self._said.append(said)
        self.unread += said.severity == "error"

    def read(self) -> Sequence[Said]:
        """All, the newest first; from now on no error is unread."""
        self.unread = 0
        return tuple(reversed(self._said))
