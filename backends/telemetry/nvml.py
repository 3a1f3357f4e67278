"""Readings of every NVIDIA card through NVML (nvidia-ml-py, module ``pynvml``).

Nothing here raises for a missing driver, a lost card or a field the card does not have: those become None and a
plain reason. The library is looked for again at each reading, so a driver that appears later is picked up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import psutil

from backends.telemetry.sample import Gpu, GpuProcess

SLOW_S = 5.0
"""The process list alone costs milliseconds in the driver, fans and limits hardly move: asked this often."""

_THROTTLE = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal limit",
    0x40: "hardware thermal limit",
    0x80: "power brake",
}
_NAMES = "Name", "UUID"


@dataclass
class _Card:
    """What is kept of one card between readings."""

    handle: Any
    name: str
    uuid: str
    slow_at: float = float("-inf")
    power_limit_w: float | None = None
    fan: float | None = None
    processes: tuple[GpuProcess, ...] = ()


class _Lost(Exception):
    """The card no longer answers."""


class Nvml:
    """One reader, for one thread at a time.

    Args:
        clock: Seconds that only grow; decides when the slow fields are due.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._library: ModuleType | None = None
        self._cards: dict[int, _Card] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._retry_at: dict[int, float] = {}
        self._lost: dict[int, str] = {}
        self.driver: str | None = None

    def read(self) -> tuple[tuple[Gpu, ...], str | None]:
        """Every card, and why there is none (None where at least one answers)."""
        import pynvml

        try:
            if self._library is None:
                pynvml.nvmlInit()
                self._library = pynvml
                self.driver = self._ask(pynvml.nvmlSystemGetDriverVersion)
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            self._forget()
            return (), explain(error.value, str(error))
        except _Lost as error:
            return (), str(error)
        gpus = tuple(self._read_card(index) for index in range(count))
        if not gpus:
            return (), "the NVIDIA driver is loaded but lists no card"
        answering = any(gpu.reason is None for gpu in gpus)
        return gpus, None if answering else "; ".join(gpu.reason or "" for gpu in gpus)

    def _forget(self) -> None:
        # No nvmlShutdown: it has crashed processes whose card had fallen off the bus.
        self._library = None
        self._cards.clear()
        self._retry_at.clear()
        self._lost.clear()

    def _read_card(self, index: int) -> Gpu:
        if self._retry_at.get(index, float("-inf")) > self._clock():
            return self._missing(index)
        try:
            card = self._cards.get(index) or self._open(index)
            gpu = self._fast(index, card)
            if self._clock() >= card.slow_at:
                self._slow(card, gpu.memory_total)
        except _Lost as error:
            self._cards.pop(index, None)
            self._lost[index] = f"GPU {index}: {error}"
            self._retry_at[index] = self._clock() + SLOW_S
            return self._missing(index)
        return replace(gpu, power_limit_w=card.power_limit_w, fan=card.fan, processes=card.processes)

    def _open(self, index: int) -> _Card:
        library = self._library
        assert library is not None
        try:
            handle = library.nvmlDeviceGetHandleByIndex(index)
        except library.NVMLError as error:
            raise _Lost(explain(error.value, str(error))) from error
        name, uuid = (self._ask(getattr(library, f"nvmlDeviceGet{field}"), handle) for field in _NAMES)
        self._names[index] = name or f"GPU {index}", uuid or ""
        self._cards[index] = _Card(handle, *self._names[index])
        return self._cards[index]

    def _missing(self, index: int) -> Gpu:
        name, uuid = self._names.get(index, (f"GPU {index}", ""))
        return Gpu(index, name, uuid, None, None, None, None, None, None, reason=self._lost[index])

    def _fast(self, index: int, card: _Card) -> Gpu:
        library, handle = self._library, card.handle
        assert library is not None
        rates = self._ask(library.nvmlDeviceGetUtilizationRates, handle)
        # The first version of the call: its `used` holds the driver's own reserve, so total - used is really free.
        memory = self._ask(library.nvmlDeviceGetMemoryInfo, handle)
        reasons = self._ask(library.nvmlDeviceGetCurrentClocksEventReasons, handle) or 0
        total = int(memory.total) if memory is not None and memory.total else None
        return Gpu(
            index=index,
            name=card.name,
            uuid=card.uuid,
            utilisation=None if rates is None else rates.gpu / 100,
            memory_used=int(memory.used) if total is not None else None,
            memory_total=total,
            power_w=_scaled(self._ask(library.nvmlDeviceGetPowerUsage, handle), 1000),
            power_limit_w=None,
            temperature_c=_scaled(self._ask(library.nvmlDeviceGetTemperature, handle, library.NVML_TEMPERATURE_GPU), 1),
            clock_mhz=_scaled(self._ask(library.nvmlDeviceGetClockInfo, handle, library.NVML_CLOCK_GRAPHICS), 1),
            throttle=tuple(text for bit, text in _THROTTLE.items() if reasons & bit),
        )

    def _slow(self, card: _Card, memory_total: int | None) -> None:
        library = self._library
        assert library is not None
        card.power_limit_w = _scaled(self._ask(library.nvmlDeviceGetEnforcedPowerLimit, card.handle), 1000)
        card.fan = _scaled(self._ask(library.nvmlDeviceGetFanSpeed, card.handle), 100)
        held: dict[int, int | None] = {}
        # A desktop's windows hold memory too; a process in both lists is counted once.
        for kind in ("Compute", "Graphics"):
            listed = self._ask(getattr(library, f"nvmlDeviceGet{kind}RunningProcesses_v3"), card.handle)
            for process in listed or ():
                memory = _believable(process.usedGpuMemory, memory_total)
                held[process.pid] = max(memory or 0, held.get(process.pid) or 0) or None
        card.processes = tuple(GpuProcess(pid, memory, _user(pid)) for pid, memory in sorted(held.items()))
        card.slow_at = self._clock() + SLOW_S

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where the card or the driver does not have it.

        Raises:
            _Lost: The card is gone.
        """
        import pynvml

        try:
            return call(*arguments)
        except (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_ResetRequired) as error:
            raise _Lost(explain(error.value, str(error))) from error
        except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError):
            return None


def explain(code: int, text: str) -> str:
    """An NVML error code in plain words, with what to do; ``text`` is NVML's own wording."""
    return {
        4: "the NVIDIA driver refuses this user: check the permissions of /dev/nvidia*",
        9: "the NVIDIA driver is installed but not loaded: try `sudo modprobe nvidia`, or reboot",
        12: "no NVIDIA driver (libnvidia-ml.so.1 was not found)",
        15: "lost: it fell off the bus (`sudo dmesg | grep Xid` tells why); most need a reboot",
        16: "needs a reset: `sudo nvidia-smi --gpu-reset`, or reboot",
        18: "the NVIDIA driver was updated underneath: reboot, or reload its kernel module (running jobs go on)",
    }.get(code, f"the NVIDIA driver answers: {text}")


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value / by


def _believable(memory: int | None, total: int | None) -> int | None:
    """A process cannot hold more than the card has: drivers whose structures drifted report such values."""
    if memory is None or (total is not None and memory > total):
        return None
    return int(memory)


def _user(pid: int) -> str | None:
    try:
        return psutil.Process(pid).username() if pid > 0 else None
    except psutil.Error:
        return None
