"""The one sampler: cards and host together, with each GPU process given to the run it belongs to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from backends.telemetry.host import HostReader
from backends.telemetry.nvml import Nvml
from backends.telemetry.sample import Gpu, Telemetry
from db.home import Home

_NO_RUNS: Mapping[int, int] = MappingProxyType({})


class Sampler:
    """Made once and asked about every second, from one thread that is not the event loop.

    Args:
        home: Its file system's free space is reported.
        clock: Seconds that only grow; the slow fields go by it.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml = Nvml(clock)
        self._host = HostReader(home.root, clock)

    def sample(self, runs: Mapping[int, int] = _NO_RUNS) -> Telemetry:
        """One sample; never raises for a missing driver or an unsupported field.

        Args:
            runs: A run's id to the pid at the root of its process tree, for every run alive.
        """
        host = self._host.read(runs)
        gpus, reason = self._nvml.read()
        return Telemetry(time.time(), tuple(self._owned(gpu) for gpu in gpus), reason, host, self._nvml.driver)

    def _owned(self, gpu: Gpu) -> Gpu:
        owned = (replace(process, run=self._host.run_of(process.pid)) for process in gpu.processes)
        return replace(gpu, processes=tuple(owned))
