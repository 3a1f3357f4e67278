"""Figures that hardly moved stay as they are shown, while nothing runs: a panel at rest sends nothing.

What is recorded, and what alerts go by, is never touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from backends.telemetry.sample import Gpu, Host, Telemetry

SHARE = 0.05
"""Of all cores."""
MEMORY = 1 / 200
"""Of what there is."""
DISK = 1 << 29
WATTS = 5.0
DEGREES = 2.0
Number = TypeVar("Number", int, float)


def steady(now: Telemetry, shown: Telemetry) -> Telemetry:
    """``now`` as it is shown after ``shown``: what differs by less than the limits above keeps its figure."""
    before = {gpu.uuid: gpu for gpu in shown.gpus}
    gpus = tuple(_card(gpu, before[gpu.uuid]) if gpu.uuid in before else gpu for gpu in now.gpus)
    return replace(now, host=_host(now.host, shown.host), gpus=gpus)


def _host(now: Host, shown: Host) -> Host:
    return replace(
        now,
        cpu=_held(now.cpu, shown.cpu, SHARE),
        memory_used=_held(now.memory_used, shown.memory_used, now.memory_total * MEMORY) or 0,
        disk_free=_held(now.disk_free, shown.disk_free, DISK),
    )


def _card(now: Gpu, shown: Gpu) -> Gpu:
    """A card that does something else than before is shown as it is."""
    if now.utilisation != shown.utilisation or now.reason != shown.reason:
        return now
    return replace(
        now,
        memory_used=_held(now.memory_used, shown.memory_used, (now.memory_total or 0) * MEMORY),
        power_w=_held(now.power_w, shown.power_w, WATTS),
        temperature_c=_held(now.temperature_c, shown.temperature_c, DEGREES),
    )


def _held(now: Number | None, shown: Number | None, by: float) -> Number | None:
    """The figure shown, where the new one is near to it."""
    return shown if now is not None and shown is not None and abs(now - shown) < by else now
