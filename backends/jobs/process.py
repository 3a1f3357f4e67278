"""Who a process is (PID + start time + boot id), and signals that never reach a stranger. Standard library only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
_PASSES = 50


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


def from_dict(record: object) -> Identity | None:
    """What :class:`Identity` was written as; None for anything else."""
    if not isinstance(record, dict):
        return None
    pid, start, boot = (record.get(key) for key in ("pid", "start", "boot"))
    if not (isinstance(pid, int) and isinstance(start, int) and isinstance(boot, str)) or pid < 1:
        return None
    return Identity(pid, start, boot)


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


def is_ours(pid: int) -> bool:
    """A dispatcher or runner that a `fada` command inside a job has started: it must outlive the job."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"backends.jobs.dispatcher" in words or b"backends.jobs.runner" in words


def tree(roots: Iterable[int]) -> list[Identity]:
    """Living processes from ``roots`` down, parents first, in whatever group or session; not our own (`is_ours`)."""
    found: list[Identity] = []
    todo = list(roots)
    while todo:
        pid = todo.pop()
        who = identity(pid)
        if who is not None and not is_ours(pid):
            found.append(who)
            todo += children(pid)
    return found


def suspend(roots: Iterable[int]) -> None:
    """Stop whole trees. A stopped process cannot fork, so after a pass that finds nothing moving all stand still."""
    top = list(roots)
    for _ in range(_PASSES):
        moving = [who for who in tree(top) if _stat_field(who.pid, 0) not in ("T", "t", "Z", "X")]
        if not moving:
            return
        for who in moving:
            signal_process(who, signal.SIGSTOP)
        time.sleep(0.01)


def go_on(roots: Iterable[int]) -> None:
    """Let suspended trees run on, children first."""
    for who in reversed(tree(roots)):
        signal_process(who, signal.SIGCONT)


def signal_process(who: Identity, number: signal.Signals) -> bool:
    """Signal that very process; False where it is gone."""
    try:
        descriptor = os.pidfd_open(who.pid)  # pins the PID: it cannot be reused while this is open
    except OSError:
        return False
    try:
        if not is_alive(who):
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def age_s(who: Identity) -> float:
    """Seconds since that process was started, time in which the machine slept included; a moved clock is not felt."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - who.start / TICKS


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
