"""Who a process is (PID + start time + boot id), and signals that never reach a stranger. Standard library only."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")


@cache
def boot_id() -> str:
    """Changes with every boot of the machine; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Identity:
    """A process as it can be recognised later. ``start`` is in clock ticks since boot."""

    pid: int
    start: int
    boot: str


def identity(pid: int) -> Identity | None:
    """The identity of a living process, or None."""
    start = _start_time(pid)
    return None if start is None else Identity(pid, start, boot_id())


def from_dict(record: dict[str, Any] | None) -> Identity | None:
    if not record:
        return None
    return Identity(int(record["pid"]), int(record["start"]), str(record["boot"]))


def is_alive(who: Identity) -> bool:
    """True while that very process runs; a zombie and a reused PID are not it."""
    return who.boot == boot_id() and _start_time(who.pid) == who.start and _stat_field(who.pid, 0) not in ("Z", "X")


def signal_group(who: Identity, number: signal.Signals) -> bool:
    """Signal the process group that ``who`` leads, after checking that it is still that process.

    Returns:
        False where it is gone.
    """
    try:
        descriptor = os.pidfd_open(who.pid)  # pins the PID: it cannot be reused while this is open
    except OSError:
        return False
    try:
        if not is_alive(who):
            return False
        os.killpg(who.pid, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    """Direct children, zombies included."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            found += [int(word) for word in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()]
        except OSError:
            continue
    return found


def tree_memory(pid: int) -> int:
    """Resident bytes of a process and its descendants (shared pages count in each)."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError):
            continue
        todo += children(one)
    return total


def _stat_field(pid: int, index: int) -> str | None:
    """A field of /proc/PID/stat, counted from the state (0); the name before it may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()[index]


def _start_time(pid: int) -> int | None:
    field = _stat_field(pid, 19)
    return None if field is None else int(field)
