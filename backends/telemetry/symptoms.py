"""What of a sample an alert may be about, as readings for the rules; and how far each may go."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.telemetry.rules import Limit, Reading
from backends.telemetry.sample import Gpu, Telemetry

GIB = 1 << 30
_POWER = "power cap"
"""Every card at full load is held by it: nothing is the matter."""
XID_S = 600.0

LIMITS: Mapping[str, Limit] = {
    "temperature": Limit(85, 80, 10, 10),
    "throttle": Limit(1, 0, 30, 30),
    "xid": Limit(1, 0, 0, XID_S),
    "card": Limit(1, 0, 10, 5),
    "idle": Limit(0.05, 0.10, 600, 10),
    "vram": Limit(0.97, 0.94, 10, 10),
    "disk": Limit(5 * GIB, 7 * GIB, 0, 10),
    "stalled": Limit(600, 599, 0, 0),
    "nan": Limit(1, 0, 0, 0),
}
_NUMBERS = ("temperature", "vram", "disk_gib", "idle_minutes", "stalled_minutes", "throttle_seconds")
_WORDS = ("bell", "off")


@dataclass(frozen=True)
class Wishes:
    """``[alerts]`` of config.toml, ``on_alert`` and ``on_finish``."""

    limits: Mapping[str, Limit] = field(default_factory=lambda: dict(LIMITS))
    bell: bool = True
    on_alert: str | None = None
    on_finish: str | None = None
    timeout_s: float = 60.0
    problems: tuple[str, ...] = ()
    """What in the file could not be taken, each as a sentence."""


def read_wishes(config: Path) -> Wishes:
    """What the user wants; a file with mistakes is taken as far as it can be."""
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Wishes()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Wishes(problems=(f"it cannot be read: {error}",))
    problems: list[str] = []
    table = document.get("alerts", {})
    if not isinstance(table, dict):
        table, problems = {}, ["alerts is no table: write [alerts]"]
    problems += [f"[alerts] {name} is not known" for name in table if name not in (*_NUMBERS, *_WORDS)]
    limits = _limits({name: _number(table, name, problems) for name in _NUMBERS}, problems)
    off = table.get("off", [])
    if not isinstance(off, list) or any(one not in LIMITS for one in off):
        problems.append(f"[alerts] off is a list of some of {', '.join(LIMITS)}")
        off = [one for one in off if one in LIMITS] if isinstance(off, list) else []
    bell = table.get("bell", True)
    if not isinstance(bell, bool):
        problems.append("[alerts] bell is true or false")
    return Wishes(
        {kind: limit for kind, limit in limits.items() if kind not in off},
        bell if isinstance(bell, bool) else True,
        _command(document, "on_alert", problems),
        _command(document, "on_finish", problems),
        _number(document, "hook_timeout_s", problems) or 60.0,
        tuple(problems),
    )


def _number(table: Mapping[str, Any], name: str, problems: list[str]) -> float | None:
    value = table.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        problems.append(f"{name} = {value!r}: a number above 0 is wanted")
        return None
    return float(value)


def _command(document: Mapping[str, Any], name: str, problems: list[str]) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        problems.append(f"{name} is a command in quotes")
        return None
    return value.strip() or None if value else None


def _limits(numbers: Mapping[str, float | None], problems: list[str]) -> dict[str, Limit]:
    limits = dict(LIMITS)
    if (heat := numbers["temperature"]) is not None:
        limits["temperature"] = replace(limits["temperature"], raise_at=heat, clear_at=heat - 5)
    if (share := numbers["vram"]) is not None:
        if share <= 1:
            limits["vram"] = replace(limits["vram"], raise_at=share, clear_at=share - 0.03)
        else:
            problems.append(f"[alerts] vram = {share:g}: a share of the card is wanted, such as 0.97")
    if (room := numbers["disk_gib"]) is not None:
        limits["disk"] = replace(limits["disk"], raise_at=room * GIB, clear_at=room * 1.4 * GIB)
    if (idle := numbers["idle_minutes"]) is not None:
        limits["idle"] = replace(limits["idle"], raise_s=60 * idle)
    if (still := numbers["stalled_minutes"]) is not None:
        limits["stalled"] = Limit(60 * still, 60 * still - 1)
    if (slow := numbers["throttle_seconds"]) is not None:
        limits["throttle"] = replace(limits["throttle"], raise_s=slow)
    return limits


def symptoms(sample: Telemetry) -> Iterator[Reading]:
    """Everything that the machine alone tells."""
    free = sample.host.disk_free
    yield Reading("disk", "disk", free, f"disk nearly full: {(free or 0) / GIB:.1f} GiB free")
    for gpu in sample.gpus:
        yield from _card(gpu)
    if not sample.gpus and sample.silent_s is not None:
        yield Reading("card", "card", 1, sample.reason or "the NVIDIA driver does not answer")
    for code, xid in {(xid.gpu, xid.code): xid for xid in sample.xids}.items():
        yield Reading(f"xid:{code[0]}:{code[1]}", "xid", 1, f"GPU {xid.gpu}: Xid {xid.code}, {xid.text}")


def _card(gpu: Gpu) -> Iterator[Reading]:
    index, away = gpu.index, gpu.reason is not None
    yield Reading(f"card:{index}", "card", float(away), gpu.reason or "")
    heat = gpu.temperature_c
    yield Reading(f"temperature:{index}", "temperature", heat, f"GPU {index}: {heat or 0:.0f} °C")
    held = [word for word in gpu.throttle if word != _POWER]
    slowed = None if away or "throttle" in gpu.missing else float(bool(held))
    yield Reading(f"throttle:{index}", "throttle", slowed, f"GPU {index} is slowed down: {', '.join(held)}")
    share = None
    if gpu.memory_total and gpu.memory_used is not None:
        share = gpu.memory_used / gpu.memory_total
    yield Reading(f"vram:{index}", "vram", share, f"GPU {index}: VRAM {100 * (share or 0):.0f} % full")


def lasting(readings: Iterator[Reading], known: Mapping[str, Any]) -> Iterator[Reading]:
    """An error is told once; what was alerted of it is good from then on, until its time is over."""
    told = set()
    for reading in readings:
        told.add(reading.key)
        yield reading
    for key in known:
        if key.startswith("xid:") and key not in told:
            yield Reading(key, "xid", 0, "")
