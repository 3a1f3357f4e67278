"""How many bytes the panel sends at 120×40 in true colour: they are the same on every machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from rich.console import Console
from textual._compositor import CompositorUpdate
from textual.pilot import Pilot

from backends.telemetry.sample import Telemetry
from fada_tui.app import PanelApp
from fada_tui.cells import Painter
from fada_tui.messages import TelemetryLoaded
from fada_tui.sources.steady import steady
from fada_tui.sources.views import TelemetryView
from tests.fada_tui import panel

CONSOLE = Console(color_system="truecolor", force_terminal=True, legacy_windows=False)
WAYS = pytest.mark.parametrize("diff", [False, True], ids=["as-textual-sends", "changed-cells"])


@dataclass
class Wire:
    """A panel whose output is counted."""

    app: PanelApp
    bytes: int = 0
    pilot: Pilot[str] = field(init=False)

    async def show(self, *samples: Telemetry) -> None:
        self.app.post_message(TelemetryLoaded(TelemetryView(samples)))
        await self.pilot.pause()

    async def sent_by(self, *samples: Telemetry) -> int:
        """Bytes that samples cost, each beside those before it."""
        await self.pilot.pause()
        before = self.bytes
        for sample in samples:
            shown = self.app.dashboard.top.telemetry
            await self.show(*(*shown.samples, sample)[-600:])
        await self.pilot.pause()
        return self.bytes - before


@asynccontextmanager
async def wired(monkeypatch: pytest.MonkeyPatch, diff: bool) -> AsyncIterator[Wire]:
    app = panel.make_app()
    wire, painter = Wire(app), Painter() if diff else None

    def display(screen: Any, update: Any) -> None:
        if isinstance(update, CompositorUpdate) and not app._batch_count:
            text = painter.paint(update, app.size, CONSOLE) if painter else update.render_segments(CONSOLE)
            wire.bytes += len(text.encode())

    monkeypatch.setattr(app, "_display", display)
    async with app.run_test(size=(120, 40)) as pilot:
        wire.pilot = pilot
        panel.feed(app, panel.RUNS, panel.RUN_VIEW, panel.NOT_TOLD)
        await pilot.pause()
        yield wire


def at_work(step: int) -> Telemetry:
    """A card whose every figure has moved."""
    sample = panel.LONG.samples[-1]
    (gpu, *_) = sample.gpus
    told = replace(
        gpu,
        utilisation=0.7 + 0.03 * (step * 7 % 10),
        memory_used=int((20 + 0.1 * (step * 3 % 10)) * panel.GIB),
        power_w=400.0 + step * 5 % 17,
        temperature_c=60.0 + step % 5,
    )
    return replace(sample, time=sample.time + step, gpus=(told,))


@WAYS
async def test_a_sample_that_tells_nothing_new_sends_nothing(monkeypatch: pytest.MonkeyPatch, diff: bool) -> None:
    idle = panel.LONG.samples[-1]
    idle = replace(idle, gpus=tuple(replace(gpu, utilisation=0.0) for gpu in idle.gpus))
    async with wired(monkeypatch, diff) as wire:
        await wire.show(*[idle] * 600)
        later = [replace(idle, time=idle.time + step) for step in range(5)]
        assert await wire.sent_by(*later) == 0


@WAYS
async def test_a_card_at_rest_sends_nothing_from_its_second_sample_on(
    monkeypatch: pytest.MonkeyPatch, diff: bool
) -> None:
    """Graphs that are not full yet must not grow by an empty cell a second."""
    idle = panel.LONG.samples[-1]
    idle = replace(idle, gpus=tuple(replace(gpu, utilisation=0.0) for gpu in idle.gpus))
    async with wired(monkeypatch, diff) as wire:
        await wire.show(idle)
        assert await wire.sent_by(*(replace(idle, time=idle.time + step) for step in range(20))) == 0


@pytest.mark.parametrize(("diff", "most"), [(False, 2500), (True, 1500)])
async def test_telemetry_each_second_costs_little(monkeypatch: pytest.MonkeyPatch, diff: bool, most: int) -> None:
    """With a graph as wide as the pane, of which every column moves."""
    async with wired(monkeypatch, diff) as wire:
        await wire.show(*map(at_work, range(200)))
        sent = await wire.sent_by(*map(at_work, range(200, 220)))
        assert sent / 20 <= most


@WAYS
async def test_a_mouse_move_costs_less_than_a_kilobyte(monkeypatch: pytest.MonkeyPatch, diff: bool) -> None:
    async with wired(monkeypatch, diff) as wire:
        before = wire.bytes
        for row in range(2, 12):
            await wire.pilot.hover(offset=(10 + row, row))
        assert (wire.bytes - before) / 10 <= 1000


async def test_the_first_screen_is_less_than_thirty_kilobytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wired(monkeypatch, diff=True) as wire:
        assert 5_000 < wire.bytes <= 30_000


async def test_at_rest_figures_that_hardly_moved_are_shown_as_before() -> None:
    before = panel.LONG.samples[-1]
    (gpu, *_) = before.gpus
    near = replace(gpu, power_w=(gpu.power_w or 0) + 3, temperature_c=(gpu.temperature_c or 0) + 1)
    host = replace(before.host, cpu=(before.host.cpu or 0) + 0.03, memory_used=before.host.memory_used + 1000)
    now = replace(before, time=before.time + 1, host=host, gpus=(near,))
    assert steady(now, before) == replace(before, time=before.time + 1, gpus=(gpu,))
    busy = replace(near, utilisation=0.99)
    assert steady(replace(now, gpus=(busy,)), before).gpus == (busy,)
    hot = replace(now, host=replace(host, cpu=(before.host.cpu or 0) + 0.2))
    assert steady(hot, before).host.cpu == hot.host.cpu
