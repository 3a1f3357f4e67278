"""What the GPU pane says of a card and of the host: data in, lines out."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from backends.telemetry.owners import Shares, shares
from fada_tui.format import NA, percent, size, size_pair
from fada_tui.widgets.braille import area, bar, parts
from fada_tui.widgets.line import Line, left, line_width, right, spread, whole, wrap

if TYPE_CHECKING:
    from backends.telemetry.rules import Alert
    from backends.telemetry.sample import Gpu, Host, Telemetry, Xid

_LABEL = 5
_FIGURE = 16
GIB = 1 << 30
_SHOWN = {
    "utilisation": "utilisation",
    "memory_total": "memory",
    "power_w": "power",
    "temperature_c": "temperature",
    "processes": "processes",
    "process_memory": "memory of processes",
}
_DETAILS = {
    "clock_mhz": "clock",
    "memory_clock_mhz": "memory clock",
    "power_limit_w": "power limit",
    "fan": "fan",
    "throttle": "what slows it down",
    "pcie_generation": "PCIe link",
    "pcie_rx": "PCIe traffic",
}
WHAT_IT_TAKES = (
    "for an NVIDIA card its driver must be installed (`nvidia-smi` must work); jobs run on the CPU meanwhile"
)


def card_lines(gpu: Gpu, width: int, seen: Telemetry | None = None) -> list[Line]:
    """Title, gauges, whose memory it is, and what cannot be told. ``seen`` is the last sample it answered in."""
    if gpu.reason:
        return _away(gpu, width, seen)
    limit = "" if gpu.power_limit_w is None else f"/{gpu.power_limit_w:.0f}"
    power = NA if gpu.power_w is None else f"{gpu.power_w:.0f}{limit} W"
    facts: Line = ((f"power {power}   {_heat(gpu)}", ""),)
    lines: list[Line] = [spread(((short_name(gpu.name), "title"),), facts, width)]
    lines.append(gauge("util", gpu.utilisation, percent(gpu.utilisation), width))
    found = shares(gpu)
    lines += [_memory(gpu, found, width), _owners(gpu, found, width)]
    if gpu.throttle:
        lines.append((("⚠ held back: " + ", ".join(gpu.throttle), "alarm"),))
    return [*lines, *(_instance(gpu, at, width) for at in range(len(gpu.mig))), *_missing(gpu, _SHOWN, width)]


def brief_lines(gpu: Gpu, width: int) -> list[Line]:
    """A card in two lines, where several must share the pane."""
    name: Line = ((f"{gpu.index} {short_name(gpu.name)}", "title"),)
    if gpu.reason:
        return [name, ((gpu.reason, "error"),)]
    power = "" if gpu.power_w is None else f"  {gpu.power_w:.0f} W"
    facts: Line = ((f"{percent(gpu.utilisation)}{power}  {_heat(gpu)}", ""),)
    return [
        spread(name, ((("⚠ ", "alarm"), *facts) if gpu.throttle else facts), width),
        _memory(gpu, shares(gpu), width),
    ]


def _heat(gpu: Gpu) -> str:
    return NA if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C"


def _away(gpu: Gpu, width: int, seen: Telemetry | None) -> list[Line]:
    lines: list[Line] = [((f"{gpu.index} {short_name(gpu.name)}", "title"),)]
    lines += [((text, "error"),) for text in wrap(gpu.reason or "", width, limit=3)]
    before = next((one for one in seen.gpus if one.index == gpu.index), None) if seen is not None else None
    if seen is not None and before is not None:
        memory = size_pair(before.memory_used, before.memory_total)
        facts = (f"last seen {clock(seen.time)}: {percent(before.utilisation)}", f"  {memory}", f"  {_heat(before)}")
        lines.append(whole(tuple((fact, "dim") for fact in facts), width))
    return lines


def _missing(gpu: Gpu, names: dict[str, str], width: int) -> list[Line]:
    """What is n/a and why, things of one reason together."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, word in names.items():
        if name in gpu.missing:
            by_reason[gpu.missing[name]].append(word)
    texts = [f"{NA} {', '.join(words)}: {reason}" for reason, words in by_reason.items()]
    return [((line, "dim"),) for text in texts for line in wrap(text, width, limit=2)]


def _instance(gpu: Gpu, place: int, width: int) -> Line:
    """One part of a divided card."""
    part = gpu.mig[place]
    share = part.memory_used / part.memory_total if part.memory_total and part.memory_used is not None else None
    label = max(4, min(26, width - _FIGURE - 4))
    room = max(4, width - _FIGURE - label)
    name = left(f"  MIG {part.index} {part.name.rpartition('MIG ')[2]}", label)
    return ((name, ""), (bar(share, room), "graph"), (right(size_pair(part.memory_used, part.memory_total), 16), ""))


def details(gpu: Gpu, width: int) -> list[Line]:
    """Clocks, limits, the bus, each process: for the zoomed pane."""
    if gpu.reason:
        return []
    facts = [
        _fact("clock", gpu.clock_mhz, "MHz"),
        _fact("memory clock", gpu.memory_clock_mhz, "MHz"),
        "" if gpu.fan is None else f"fan {percent(gpu.fan)}",
        "" if gpu.pcie_generation is None else f"PCIe {gpu.pcie_generation} ×{gpu.pcie_width or '?'}",
        "" if gpu.pcie_rx is None else f"in {size(gpu.pcie_rx)}/s",
        "" if gpu.pcie_tx is None else f"out {size(gpu.pcie_tx)}/s",
        _fact("slows down at", gpu.temperature_limit_c, "°C"),
        _fact("limit at most", gpu.power_max_w, "W"),
    ]
    said = "   ".join(fact for fact in facts if fact)
    lines: list[Line] = [((line, "dim"),) for line in wrap(said, width, limit=2)] if said else []
    lines += _missing(gpu, _DETAILS, width)
    for process in gpu.processes:
        whose = f"#{process.run}" if process.run is not None else process.user or "not to be seen from here"
        token = "running" if process.run is not None else "other"
        lines.append(((f"{process.pid:>9} ", "dim"), (right(size(process.memory), 10), ""), (f"  {whose}", token)))
    return lines


def _fact(name: str, value: float | None, unit: str) -> str:
    return "" if value is None else f"{name} {value:.0f} {unit}"


def trouble_lines(alerts: Sequence[Alert], xids: Sequence[Xid], width: int) -> list[Line]:
    """Alerts that are up, and errors that the driver told of in this time."""
    lines: list[Line] = []
    for alert in alerts:
        lines += [((text, "alarm"),) for text in wrap(f"⚠ {alert.text} (since {clock(alert.since)})", width, limit=2)]
    for xid in xids[-4:]:
        text = f"Xid {xid.code} on GPU {xid.gpu} at {clock(xid.time)}: {xid.text}"
        lines += [((line, "error"),) for line in wrap(text, width, limit=2)]
    return lines


def clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))


def utilisation(samples: Sequence[Telemetry], index: int) -> list[float]:
    """One card's over time; 0 where it was not there or does not tell."""
    return [next((gpu.utilisation or 0.0 for gpu in sample.gpus if gpu.index == index), 0.0) for sample in samples]


def graph(values: Sequence[float], width: int, height: int) -> list[Line]:
    return [((line, "graph"),) for line in area(values, width, height)] if height > 0 else []


def gauge(label: str, share: float | None, figure: str, width: int, token: str = "graph") -> Line:
    room = width - _LABEL - _FIGURE
    return ((label.ljust(_LABEL), "dim"), (bar(share, max(4, room)), token), (right(figure, _FIGURE), ""))


def _memory(gpu: Gpu, found: Shares | None, width: int) -> Line:
    """One bar: each job solid, in two colours by turns; other users ▓, what nobody can be named for ▒, free ░."""
    if found is None or not gpu.memory_total:
        return (("vram ", "dim"), (NA, ""))
    room = max(4, width - _LABEL - _FIGURE)
    jobs = [size for _, size in sorted(found.by_run.items())]
    cells = parts([size / gpu.memory_total for size in (*jobs, sum(found.by_user.values()), found.unknown)], room)
    spans = [("█" * count, "graph2" if at % 2 else "graph") for at, count in enumerate(cells[: len(jobs)])]
    spans += [("▓" * cells[-2], "other"), ("▒" * cells[-1], "dim"), ("░" * (room - sum(cells)), "dim")]
    return (("vram ", "dim"), *spans, (right(size_pair(gpu.memory_used, gpu.memory_total), _FIGURE), ""))


def _owners(gpu: Gpu, found: Shares | None, width: int) -> Line:
    if found is None:
        return (("     memory by owner: n/a", "dim"),)
    margin = _margin(width)
    jobs = [
        (f"#{run} {NA if run in found.silent_runs and not held else f'{held / GIB:.1f}'}  ", "running")
        for run, held in sorted(found.by_run.items())
    ]
    users = [("you " if user == _me() else f"{user} ") + f"{held / GIB:.1f}  " for user, held in found.by_user.items()]
    free = (f"free {found.free / GIB:.1f}", "dim")
    everybody: Line = ((margin, ""), *jobs, *((text, "other") for text in users))
    everybody += ((f"unknown {found.unknown / GIB:.1f}  ", "dim"), free, (" GiB", "dim"))
    if line_width(everybody) <= width:
        return everybody
    others = sum(found.by_user.values()) + found.unknown
    return whole(((margin, ""), *jobs, (f"others {others / GIB:.1f}  ", "other"), free, (" GiB", "dim")), width)


def _margin(width: int) -> str:
    """Under the bars, where there is room for it."""
    return " " * _LABEL if width >= 44 else ""


@cache
def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def short_name(name: str) -> str:
    """The card without its maker."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def host_lines(host: Host, width: int) -> list[Line]:
    figure = f"{percent(host.cpu)} of {host.cores}"
    lines = [gauge("cpu", host.cpu, figure, width)]
    share = host.memory_used / host.memory_total if host.memory_total else None
    lines.append(gauge("ram", share, size_pair(host.memory_used, host.memory_total), width))
    jobs: list[tuple[str, str]] = [(_margin(width), "")]
    jobs += [(f"#{job.run} {size(job.memory)}  ", "running") for job in host.jobs]
    jobs.append((f"disk {size(host.disk_free)} free", "dim"))
    return [*lines, whole(tuple(jobs), width)]


def host_line(host: Host, width: int) -> Line:
    """The host in one line, where a card takes the room; what there is no room for is left out whole."""
    facts = [
        f"cpu {percent(host.cpu)} of {host.cores} cores",
        f"ram {size_pair(host.memory_used, host.memory_total)}",
        f"disk {size(host.disk_free)} free",
    ]
    if len("   ".join(facts)) > width:
        facts[0] = f"cpu {percent(host.cpu)}"
    while len(facts) > 1 and len("   ".join(facts)) > width:
        facts.pop()
    return (("   ".join(facts), "dim"),)
