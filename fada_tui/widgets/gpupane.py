"""The GPU pane: each card with its memory by owner, or the host and the jobs' memory where there is no card."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from textual.reactive import reactive

from backends.telemetry.sample import Gpu, Host, Telemetry
from fada_tui.format import NA, percent, size, size_pair
from fada_tui.sources.views import TelemetryView
from fada_tui.widgets.braille import area, bar, parts
from fada_tui.widgets.line import Line, Row, clip, right, spread, wrap
from fada_tui.widgets.lineview import LineView

_LABEL = 5
GIB = 1 << 30


class GpuPane(LineView):
    """No row of it can be chosen; the arrows scroll."""

    telemetry: reactive[TelemetryView] = reactive(TelemetryView, repaint=False)

    def watch_telemetry(self) -> None:
        newest = self.telemetry.newest
        self.set_title("3 GPU" if newest is None or newest.gpus else "3 Host")
        self.rebuild()

    def build(self, width: int, height: int) -> list[Row]:
        newest = self.telemetry.newest
        if newest is None:
            return [Row((("Waiting for the first sample …", "dim"),))]
        lines = self._cards(newest, width, height) if newest.gpus else self._host(newest, width, height)
        return [Row(clip(line, width)) for line in lines]

    def _cards(self, newest: Telemetry, width: int, height: int) -> list[Line]:
        """With room to spare the rest is history; the host comes last."""
        room = max(0, height - 2) // max(1, len(newest.gpus))
        lines: list[Line] = []
        for gpu in newest.gpus:
            lines += _card(gpu, self._history(gpu.index), width, room)
        host = newest.host
        cpu = f"cpu {percent(host.cpu)} of {host.cores} cores   ram {size_pair(host.memory_used, host.memory_total)}"
        return [*lines, ((f"{cpu}   disk {size(host.disk_free)} free", "dim"),)]

    def _history(self, index: int) -> list[float]:
        return [
            next((gpu.utilisation or 0.0 for gpu in sample.gpus if gpu.index == index), 0.0)
            for sample in self.telemetry.samples
        ]

    def _host(self, newest: Telemetry, width: int, height: int) -> list[Line]:
        host = newest.host
        lines = [*_host_lines(host, width)]
        reason = f"No GPU: {newest.reason or 'no NVIDIA driver answers'}"
        said: list[Line] = [((text, "dim"),) for text in wrap(reason, width, limit=2 if height < 9 else 4)]
        cpu = [sample.host.cpu or 0.0 for sample in self.telemetry.samples]
        rest = height - len(lines) - len(said)
        return [*lines, *_graph(cpu, width, min(rest, 8) if rest >= 1 else 0), *said]


def _card(gpu: Gpu, history: Sequence[float], width: int, room: int) -> list[Line]:
    if gpu.reason:
        return [((f"{gpu.index} {gpu.name}  ", "title"),), ((gpu.reason, "error"),)]
    power = NA if gpu.power_w is None else f"{gpu.power_w:.0f}"
    limit = "" if gpu.power_limit_w is None else f"/{gpu.power_limit_w:.0f}"
    heat = NA if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C"
    facts: Line = ((f"power {power}{limit} W   {heat}", ""),)
    lines: list[Line] = [spread(((short_name(gpu.name), "title"),), facts, width)]
    lines.append(_gauge("util", gpu.utilisation, percent(gpu.utilisation), width))
    lines.append(_memory(gpu, width))
    lines.append(_owners(gpu, width))
    if gpu.throttle:
        lines.append((("⚠ held back: " + ", ".join(gpu.throttle), "alarm"),))
    return [*lines, *_graph(history, width, min(6, room - len(lines)))]


def _graph(values: Sequence[float], width: int, height: int) -> list[Line]:
    return [((line, "graph"),) for line in area(values, width, height)] if height > 0 else []


def _gauge(label: str, share: float | None, figure: str, width: int, token: str = "graph") -> Line:
    room = width - _LABEL - 16
    return ((label.ljust(_LABEL), "dim"), (bar(share, max(4, room)), token), (right(figure, 16), ""))


def _shares(gpu: Gpu) -> tuple[dict[int, int], int]:
    """Bytes by run, and the bytes in use that are no run's."""
    by_run: dict[int, int] = defaultdict(int)
    for process in gpu.processes:
        if process.run is not None and process.memory is not None:
            by_run[process.run] += process.memory
    used = gpu.memory_used or 0
    return dict(by_run), max(0, used - sum(by_run.values()))


def _memory(gpu: Gpu, width: int) -> Line:
    """One bar: our jobs solid, what others hold shaded, free light."""
    if gpu.memory_total is None or gpu.memory_used is None:
        return (("vram ", "dim"), (NA, ""))
    by_run, others = _shares(gpu)
    room = max(4, width - _LABEL - 16)
    ours, foreign = parts([sum(by_run.values()) / gpu.memory_total, others / gpu.memory_total], room)
    figure = right(size_pair(gpu.memory_used, gpu.memory_total), 16)
    free = "░" * (room - ours - foreign)
    return (("vram ", "dim"), ("█" * ours, "graph"), ("▓" * foreign, "other"), (free, "dim"), (figure, ""))


def _owners(gpu: Gpu, width: int) -> Line:
    if gpu.memory_total is None or gpu.memory_used is None:
        return (("     memory by owner: n/a", "dim"),)
    by_run, others = _shares(gpu)
    spans: list[tuple[str, str]] = [("     " if width >= 44 else "", "")]
    for run, memory in sorted(by_run.items()):
        spans.append((f"#{run} {memory / GIB:.1f}  ", "running"))
    spans.append((f"others {others / GIB:.1f}  ", "other"))
    spans.append((f"free {(gpu.memory_total - gpu.memory_used) / GIB:.1f} GiB", "dim"))
    return tuple(spans)


def short_name(name: str) -> str:
    """The card without its maker."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _host_lines(host: Host, width: int) -> list[Line]:
    figure = f"{percent(host.cpu)} of {host.cores}"
    lines = [_gauge("cpu", host.cpu, figure, width)]
    share = host.memory_used / host.memory_total if host.memory_total else None
    lines.append(_gauge("ram", share, size_pair(host.memory_used, host.memory_total), width))
    jobs: list[tuple[str, str]] = [("     ", "")]
    jobs += [(f"#{job.run} {size(job.memory)}  ", "running") for job in host.jobs]
    jobs.append((f"disk {size(host.disk_free)} free", "dim"))
    return [*lines, tuple(jobs)]
