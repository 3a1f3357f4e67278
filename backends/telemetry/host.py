"""The machine itself: processor, memory, disk, and what each run's processes hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from backends.telemetry.sample import Host, HostJob

TREE_S = 5.0
"""Finding a tree's members reads the whole process table: done this often, and whenever the runs change."""


class HostReader:
    """One reader, for one thread at a time.

    Args:
        folder: The free space of its file system is reported; it need not exist yet.
        clock: Seconds that only grow; decides when the process trees are looked up again.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._cores = psutil.cpu_count() or 1
        self._times: tuple[float, float] | None = None
        self._runs: dict[int, int] = {}
        self._trees: dict[int, list[psutil.Process]] = {}
        self._trees_due = float("-inf")

    def read(self, runs: Mapping[int, int]) -> Host:
        """One reading. ``runs`` maps a run's id to the pid at the root of its process tree."""
        memory = psutil.virtual_memory()
        return Host(
            cpu=self._cpu(),
            cores=self._cores,
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_free=disk_free(self._folder),
            jobs=self._jobs(runs),
        )

    def run_of(self, pid: int) -> int | None:
        """The run whose tree held this process at the last reading."""
        for run, tree in self._trees.items():
            if any(process.pid == pid for process in tree):
                return run
        return None

    def _cpu(self) -> float | None:
        """Busy share of all cores since the last call; our own difference, for psutil's is one a process."""
        times = psutil.cpu_times()
        # Guest time is in `user` already.
        total = float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))
        idle = float(times.idle + getattr(times, "iowait", 0.0))
        before, self._times = self._times, (total, idle)
        if before is None or total <= before[0]:
            return None
        return min(1.0, max(0.0, 1 - (idle - before[1]) / (total - before[0])))

    def _jobs(self, runs: Mapping[int, int]) -> tuple[HostJob, ...]:
        if dict(runs) != self._runs or self._clock() >= self._trees_due:
            self._runs = dict(runs)
            self._trees = {run: _tree(pid) for run, pid in runs.items()}
            self._trees_due = self._clock() + TREE_S
        held = ((run, [rss for process in tree if (rss := _rss(process))]) for run, tree in self._trees.items())
        return tuple(HostJob(run, sum(sizes)) for run, sizes in held if sizes)


def disk_free(folder: Path) -> int:
    """Bytes an ordinary user can still write where ``folder`` is, or would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return int(psutil.disk_usage(str(folder)).free)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _rss(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return None
