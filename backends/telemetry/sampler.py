"""The one sampler: cards and host together, with each GPU process given to the run it belongs to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from backends.telemetry.driver import Driver, Reading
from backends.telemetry.host import HostReader
from backends.telemetry.sample import Gpu, Telemetry
from db.home import Home

_NO_RUNS: Mapping[int, int] = MappingProxyType({})


class Cards(Protocol):
    """Whoever tells of the cards."""

    def read(self) -> Reading: ...

    def close(self) -> None: ...


class Sampler:
    """Made once and asked about every second, from one thread that is not the event loop.

    Args:
        home: Its file system's free space is reported.
        clock: Seconds that only grow; the slow fields go by it.
        cards: Who is asked of the cards: a process of its own unless said.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.monotonic, cards: Cards | None = None) -> None:
        self._cards = cards or Driver(clock)
        self._host = HostReader(home.root, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the process that asks the driver."""
        self._cards.close()

    def sample(self, runs: Mapping[int, int] = _NO_RUNS) -> Telemetry:
        """One sample; never raises for a missing driver or an unsupported field, and never waits long for one.

        Args:
            runs: A run's id to the pid at the root of its process tree, for every run alive.
        """
        host = self._host.read(runs)
        cards = self._cards.read()
        return Telemetry(
            time.time(),
            tuple(self._owned(gpu) for gpu in cards.gpus),
            cards.reason,
            host,
            cards.driver,
            cards.xids,
            cards.silent_s,
        )

    def _owned(self, gpu: Gpu) -> Gpu:
        if not gpu.processes:
            return gpu
        owned = (replace(process, run=self._host.run_of(process.pid)) for process in gpu.processes)
        return replace(gpu, processes=tuple(owned))
