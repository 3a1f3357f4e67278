"""What bounds a job: its maximum run time, and how much log it may keep. Standard library only."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

LOG_BYTES = 64 << 20
_LEAST_LOG_BYTES = 1 << 16
_TIME = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m(?:in)?)?\s*(?:(\d+)s?)?", re.ASCII)
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)", re.ASCII)


def read_time(text: str) -> int:
    """Seconds of ``2h``, ``90m``, ``1h30m``, ``2:00:00`` or ``3600``.

    Raises:
        ValueError: It is none of these, or no time at all.
    """
    clock, words = _CLOCK.fullmatch(text.strip()), _TIME.fullmatch(text.strip().lower())
    seconds = 0
    if clock:
        hours, minutes, rest = map(int, clock.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    elif words:
        sizes = (86400, 3600, 60, 1)
        seconds = sum(size * int(word or 0) for size, word in zip(sizes, words.groups(), strict=True))
    if seconds < 1:
        raise ValueError(f"{text!r} is no time: write it as 2h, 90m, 1h30m or 3600 (seconds)")
    return seconds


def clock_text(seconds: float) -> str:
    """``2:00:00`` for 7200."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def overtime(max_seconds: float) -> str:
    """Why a run that took too long was ended."""
    return f"stopped after {clock_text(max_seconds)}, its maximum run time"


def max_seconds(spec: dict[str, Any]) -> float | None:
    """The maximum run time of each attempt, or None."""
    limit = (spec.get("limits") or {}).get("max_seconds")
    return float(limit) if limit else None


class RunClock:
    """Seconds that a job has run. Pauses do not count, and a moved wall clock is not felt."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.monotonic()

    def tick(self, paused: bool) -> float:
        """Call often; ``paused`` says how the time since the last call was spent."""
        now = time.monotonic()
        if not paused:
            self.seconds += now - self._last
        self._last = now
        return self.seconds


def log_bytes(config: Path) -> int:
    """``[limits] log_bytes`` of config.toml: what a log may take on the disk; the default where there is none."""
    if not config.exists():
        return LOG_BYTES
    import tomllib  # here, since the runner holds for days what it imports

    try:
        table = tomllib.loads(config.read_text(encoding="utf-8")).get("limits")
        size = int(table["log_bytes"]) if isinstance(table, dict) else LOG_BYTES
    except (OSError, KeyError, TypeError, ValueError):
        return LOG_BYTES
    return max(size, _LEAST_LOG_BYTES)
