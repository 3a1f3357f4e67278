"""Readings of every NVIDIA card through NVML (nvidia-ml-py, module ``pynvml``).

Nothing here raises for a missing driver, a lost card or a field the card does not have: those become None and a
plain reason. The library is looked for again at each reading, so a driver that appears later is picked up. A call may
hang or crash in the driver, so this runs in a process of its own (see reader.py), which is why cards are told as the
codec's plain documents.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import psutil

from backends.telemetry.explain import explain, why_hidden, why_missing

SLOW_S = 5.0
"""The process list alone costs milliseconds in the driver, fans and limits hardly move: asked this often."""

_THROTTLE = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal limit",
    0x40: "hardware thermal limit",
    0x80: "power brake",
}
_KIB = 1024
_FAST = dict.fromkeys(
    (
        "utilisation",
        "memory_used",
        "memory_total",
        "power_w",
        "temperature_c",
        "clock_mhz",
        "memory_clock_mhz",
        "throttle",
        "missing",
    )
)
Document = dict[str, Any]
"""A card, an instance or a process in the codec's form."""


_Question = tuple[str, Callable[..., Any], tuple[Any, ...]]
"""A field's name, the call that tells it, and what that is asked with."""


@dataclass
class Card:
    """What is kept of one card between readings."""

    index: int
    handle: Any
    name: str
    uuid: str
    total: int | None
    fixed: Document
    fixed_missing: dict[str, str]
    often: tuple[_Question, ...]
    seldom: tuple[_Question, ...]
    mig_on: bool = False
    lasting: Document = field(default_factory=dict)
    """What holds until the slow fields are asked again."""
    missing: dict[str, str] = field(default_factory=dict)
    slow_at: float = float("-inf")


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
        self._cards: dict[int, Card] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._retry_at: dict[int, float] = {}
        self._lost: dict[int, str] = {}
        self._users: dict[int, str | None] = {}
        self.driver: str | None = None
        self.failed: int | None = None
        """NVML's code where the driver itself does not answer at all."""

    @property
    def cards(self) -> tuple[Card, ...]:
        """Those that answered at the last reading."""
        return tuple(self._cards.values())

    def read(self) -> tuple[list[Document], str | None]:
        """Every card, and why there is none (None where at least one answers)."""
        library = self._library or _bindings()
        try:
            if self._library is None:
                library.nvmlInit()
                self._library = library
                self.driver = self._ask({}, "driver", library.nvmlSystemGetDriverVersion)
            count = library.nvmlDeviceGetCount()
        except library.NVMLError as error:
            self._forget()
            self.failed = error.value
            return [], explain(error.value, str(error))
        except _Lost as error:
            return [], str(error)
        self.failed = None
        gpus = [self._read_card(index) for index in range(count)]
        for gpu in gpus:
            if gpu["reason"] is None:
                return gpus, None
        return gpus, "; ".join(gpu["reason"] for gpu in gpus) or "the NVIDIA driver is loaded but lists no card"

    def _forget(self) -> None:
        # No nvmlShutdown: it has crashed processes whose card had fallen off the bus.
        self._library = None
        self._cards.clear()
        self._retry_at.clear()
        self._lost.clear()

    def _read_card(self, index: int) -> Document:
        now = self._clock()
        if self._retry_at and self._retry_at.get(index, now) > now:
            return self._gone(index)
        try:
            card = self._cards.get(index) or self._open(index)
            if now >= card.slow_at:
                self._slow(card)
                card.slow_at = now + SLOW_S
            return self._fast(card)
        except _Lost as error:
            self._cards.pop(index, None)
            self._lost[index] = f"GPU {index}: {error}"
            self._retry_at[index] = now + SLOW_S
            return self._gone(index)

    def _gone(self, index: int) -> Document:
        name, uuid = self._names.get(index, (f"GPU {index}", ""))
        return {"index": index, "name": name, "uuid": uuid, "reason": self._lost[index]}

    def _open(self, index: int) -> Card:
        """What never changes is asked once."""
        library = self._library
        missing: dict[str, str] = {}
        assert library is not None
        try:
            handle = library.nvmlDeviceGetHandleByIndex(index)
        except library.NVMLError as error:
            raise _Lost(explain(error.value, str(error))) from error
        name = self._ask(missing, "name", library.nvmlDeviceGetName, handle)
        uuid = self._ask(missing, "uuid", library.nvmlDeviceGetUUID, handle)
        slowdown = library.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        memory = self._ask(missing, "memory_total", library.nvmlDeviceGetMemoryInfo, handle)
        hot = self._ask(missing, "temperature_limit_c", library.nvmlDeviceGetTemperatureThreshold, handle, slowdown)
        power = self._ask(missing, "power_max_w", library.nvmlDeviceGetPowerManagementLimitConstraints, handle)
        fixed: Document = {
            "temperature_limit_c": _scaled(hot, 1),
            "power_max_w": None if power is None else power[1] / 1000,
        }
        self._names[index] = name or f"GPU {index}", uuid or ""
        total = memory.total if memory is not None else None
        often, seldom = _questions(library, handle)
        card = Card(index, handle, *self._names[index], total, fixed, missing, often, seldom)
        self._cards[index] = card
        return card

    def _fast(self, card: Card) -> Document:
        missing = card.missing.copy()
        told = self._told(card.often, missing)
        rates, memory, power = told["utilisation"], told["memory_total"], told["power_w"]
        total, used = (memory.total, memory.used) if memory is not None else (0, 0)
        if not total:
            # One memory for processor and card (GB10) is told as none at all.
            missing.setdefault("memory_total", "the driver tells no memory of its own for this card")
            missing["memory_used"] = missing["memory_total"]
        if rates is None and card.mig_on:
            missing["utilisation"] = "not told while the card is divided (MIG)"
        # Has a place for each of these already: a copy that need not grow costs a third of building it anew.
        document = card.lasting.copy()
        document["utilisation"] = None if rates is None else rates.gpu / 100
        document["memory_used"] = used if total else None
        document["memory_total"] = total or None
        document["power_w"] = None if power is None else power / 1000
        document["temperature_c"] = told["temperature_c"]
        document["clock_mhz"] = told["clock_mhz"]
        document["memory_clock_mhz"] = told["memory_clock_mhz"]
        document["throttle"] = _throttled(told["throttle"] or 0)
        document["missing"] = missing
        return document

    def _slow(self, card: Card) -> None:
        assert self._library is not None
        missing: dict[str, str] = {}
        told = self._told(card.seldom, missing)
        card.lasting = {
            "index": card.index,
            "name": card.name,
            "uuid": card.uuid,
            "reason": None,
            **_FAST,
            **card.fixed,
            **told,
            "power_limit_w": _scaled(told["power_limit_w"], 1000),
            "fan": _scaled(told["fan"], 100),
            "pcie_rx": None if told["pcie_rx"] is None else told["pcie_rx"] * _KIB,
            "pcie_tx": None if told["pcie_tx"] is None else told["pcie_tx"] * _KIB,
        }
        mig = self._ask({}, "mig", self._library.nvmlDeviceGetMigMode, card.handle)
        card.mig_on = bool(mig and mig[0])
        instances = self._instances(card) if card.mig_on else []
        handles = [card.handle, *(instance for _, instance in instances)]
        card.lasting["mig"] = [mig for mig, _ in instances]
        card.lasting["processes"] = self._processes(handles, card.total, missing)
        card.missing = card.fixed_missing | missing

    def _instances(self, card: Card) -> list[tuple[Document, Any]]:
        """The parts of a divided card, each with its handle."""
        library = self._library
        assert library is not None
        found = []
        for place in range(self._ask({}, "mig", library.nvmlDeviceGetMaxMigDeviceCount, card.handle) or 0):
            part = self._ask({}, "mig", library.nvmlDeviceGetMigDeviceHandleByIndex, card.handle, place)
            if part is None:
                continue
            name = self._ask({}, "name", library.nvmlDeviceGetName, part) or f"MIG {place}"
            uuid = self._ask({}, "uuid", library.nvmlDeviceGetUUID, part) or ""
            memory = self._ask({}, "memory", library.nvmlDeviceGetMemoryInfo, part)
            used, total = (None, None) if memory is None else (memory.used, memory.total)
            document = {"index": place, "name": name, "uuid": uuid, "memory_used": used, "memory_total": total}
            found.append((document, part))
        return found

    def _processes(self, handles: list[Any], total: int | None, missing: dict[str, str]) -> list[Document]:
        library = self._library
        assert library is not None
        held: dict[int, int | None] = {}
        # A desktop's windows hold memory too; a process in both lists is counted once.
        calls = library.nvmlDeviceGetComputeRunningProcesses_v3, library.nvmlDeviceGetGraphicsRunningProcesses_v3
        for handle in handles:
            for call in calls:
                for process in self._ask(missing, "processes", call, handle) or ():
                    memory = _believable(process.usedGpuMemory, total)
                    held[process.pid] = max(memory or 0, held.get(process.pid) or 0) or None
        if held and None in held.values():
            missing["process_memory"] = why_hidden(list(held))
        if held.keys() != self._users.keys():
            self._users = {pid: self._users[pid] if pid in self._users else _user(pid) for pid in held}
        return [{"pid": pid, "memory": held[pid], "user": self._users[pid]} for pid in sorted(held)]

    def _told(self, questions: tuple[_Question, ...], missing: dict[str, str]) -> Document:
        """The answers by name, as :meth:`_ask` gives them; written out, since this is most of a pass."""
        told: Document = {}
        for name, call, arguments in questions:
            try:
                told[name] = call(*arguments)
            except Exception as error:  # noqa: BLE001 - what is not NVML's is raised again
                missing[name] = self._why(error)
                told[name] = None
        return told

    def _ask(self, missing: dict[str, str], name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where the card or the driver does not have it, and why in ``missing``.

        Raises:
            _Lost: The card is gone.
        """
        try:
            return call(*arguments)
        except Exception as error:  # noqa: BLE001 - what is not NVML's is raised again
            missing[name] = self._why(error)
            return None

    def _why(self, error: Exception) -> str:
        """Why there is no answer. What is no word of the driver's is raised again."""
        pynvml = self._library or _bindings()
        if isinstance(error, pynvml.NVMLError_GpuIsLost | pynvml.NVMLError_ResetRequired):
            raise _Lost(explain(error.value, str(error))) from error
        if isinstance(error, pynvml.NVMLLibraryMismatchError):
            return "this driver does not know it in this form"
        if not isinstance(error, pynvml.NVMLError):
            raise error
        return why_missing(error.value)


def _questions(library: ModuleType, handle: Any) -> tuple[tuple[_Question, ...], tuple[_Question, ...]]:
    """What a card is asked each second, and what every five."""
    own = (handle,)
    often: tuple[_Question, ...] = (
        ("utilisation", library.nvmlDeviceGetUtilizationRates, own),
        # The first version of the call: its `used` holds the driver's own reserve, so total - used is really free.
        ("memory_total", library.nvmlDeviceGetMemoryInfo, own),
        ("throttle", library.nvmlDeviceGetCurrentClocksEventReasons, own),
        ("power_w", library.nvmlDeviceGetPowerUsage, own),
        ("temperature_c", library.nvmlDeviceGetTemperature, (handle, library.NVML_TEMPERATURE_GPU)),
        ("clock_mhz", library.nvmlDeviceGetClockInfo, (handle, library.NVML_CLOCK_GRAPHICS)),
        ("memory_clock_mhz", library.nvmlDeviceGetClockInfo, (handle, library.NVML_CLOCK_MEM)),
    )
    seldom: tuple[_Question, ...] = (
        ("power_limit_w", library.nvmlDeviceGetEnforcedPowerLimit, own),
        ("fan", library.nvmlDeviceGetFanSpeed, own),
        ("pcie_generation", library.nvmlDeviceGetCurrPcieLinkGeneration, own),
        ("pcie_width", library.nvmlDeviceGetCurrPcieLinkWidth, own),
        ("pcie_rx", library.nvmlDeviceGetPcieThroughput, (handle, library.NVML_PCIE_UTIL_RX_BYTES)),
        ("pcie_tx", library.nvmlDeviceGetPcieThroughput, (handle, library.NVML_PCIE_UTIL_TX_BYTES)),
    )
    return often, seldom


def _bindings() -> Any:
    """Imported where it is asked for: not at every start of the program."""
    import pynvml

    return pynvml


@cache
def _throttled(reasons: int) -> tuple[str, ...]:
    return tuple(text for bit, text in _THROTTLE.items() if reasons & bit)


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
