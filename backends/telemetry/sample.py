"""One telemetry sample as frozen data. Unsupported values are None, never 0; memory is in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GpuProcess:
    pid: int
    memory: int | None
    user: str | None
    run: int | None = None
    """The run whose process tree it belongs to, where it is one of ours."""


@dataclass(frozen=True)
class Mig:
    """One instance that a card is divided into."""

    index: int
    name: str
    uuid: str
    memory_used: int | None
    memory_total: int | None


@dataclass(frozen=True)
class Xid:
    """An error that the driver reported by event."""

    time: float
    gpu: int
    code: int
    text: str


@dataclass(frozen=True)
class Gpu:
    index: int
    name: str
    uuid: str
    utilisation: float | None
    """0..1"""
    memory_used: int | None
    memory_total: int | None
    power_w: float | None
    power_limit_w: float | None
    temperature_c: float | None
    processes: tuple[GpuProcess, ...] = ()
    fan: float | None = None
    """0..1 of its full speed"""
    clock_mhz: float | None = None
    throttle: tuple[str, ...] = ()
    """What holds its clocks down right now, in plain words; not idleness or a user's own setting."""
    reason: str | None = None
    """Why this card shows nothing (lost, not reachable); None while it answers."""
    memory_clock_mhz: float | None = None
    pcie_rx: int | None = None
    """Bytes a second towards the card."""
    pcie_tx: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    temperature_limit_c: float | None = None
    """Where the card begins to slow itself down."""
    power_max_w: float | None = None
    """The highest limit that can be set."""
    mig: tuple[Mig, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a field is None, by its name; ``process_memory`` where processes are listed without what they hold."""


@dataclass(frozen=True)
class HostJob:
    """Resident memory of one run's process tree."""

    run: int
    memory: int


@dataclass(frozen=True)
class Host:
    cpu: float | None
    """0..1 over all cores since the last sample; None in the first."""
    cores: int
    memory_used: int
    memory_total: int
    disk_free: int | None
    """Of the file system that holds HOME; a minute's sum of samples has none."""
    jobs: tuple[HostJob, ...] = ()


@dataclass(frozen=True)
class Telemetry:
    time: float
    gpus: tuple[Gpu, ...]
    reason: str | None
    """Why there is no GPU to show, in plain words; None where there is one."""
    host: Host
    driver: str | None = None
    """The NVIDIA driver's version, where one answers."""
    xids: tuple[Xid, ...] = ()
    """Errors that the driver reported since the sample before."""
    silent_s: float | None = None
    """For how long the driver has not answered; None while it does, or where there is none."""
