"""The GPU pane in each state that a card can be in, its history, the alert in the header, the bell, and replays."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.telemetry.rules import Alert
from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.messages import TelemetryLoaded
from fada_tui.sources.feeds import Wanted
from fada_tui.sources.record import open_record, write_sample
from fada_tui.sources.replay import ReplaySource
from fada_tui.sources.views import TelemetryView
from fada_tui.widgets.gpuhistory import SPANS
from fada_tui.widgets.gpulines import card_lines, host_lines
from fada_tui.widgets.line import Row, plain
from tests.fada_tui import panel

Until = Callable[[Pilot[str], Callable[[], object]], Awaitable[None]]
SIZES = [(80, 24), (120, 40)]
STATES = {
    "not-told": panel.NOT_TOLD,
    "lost": panel.LOST,
    "hung": panel.HUNG,
    "two-cards": panel.TWO_CARDS,
    "divided": panel.DIVIDED,
    "no-gpu": panel.NO_GPU,
}


@pytest.fixture(autouse=True)
def _one_time_zone() -> Iterator[None]:
    """Times are told as the place has them: the pictures have one place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.setattr("fada_tui.widgets.gpulines._me", lambda: "me")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
def test_states(snap_compare: Callable[..., bool], state: str, size: tuple[int, int]) -> None:
    before = panel.fed(panel.RUNS, panel.RUN_VIEW, STATES[state], "3")
    assert snap_compare(panel.make_app(), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["long", "lost"])
def test_zoomed(snap_compare: Callable[..., bool], name: str, size: tuple[int, int]) -> None:
    view = {"long": panel.LONG, "lost": panel.LOST}[name]
    before = panel.fed(panel.RUNS, panel.RUN_VIEW, view, "3", "z")
    assert snap_compare(panel.make_app(), terminal_size=size, run_before=before)


async def test_the_keys_change_how_far_back_the_history_goes() -> None:
    app = panel.make_app()
    wanted: list[float | None] = []
    app.feeds.history_calls.append(wanted.append)
    async with app.run_test(size=(120, 40)) as pilot:
        panel.feed(app, panel.RUNS, panel.RUN_VIEW, panel.LONG)
        await pilot.press("3", "]")
        assert wanted[-1] == SPANS[1]
        await pilot.press("]", "+")
        assert wanted[-1] == SPANS[3]
        assert "last day" in panel.screen_text(app)
        await pilot.press(*["["] * 9)
        assert wanted[-1] == SPANS[0]
        await pilot.press("z")
        assert wanted[-1] is None


@pytest.mark.parametrize("width", range(28, 70))
def test_a_figure_is_there_whole_or_not_at_all(width: int) -> None:
    """`12.0/40.0…` and `free 10.…` say something else than what is so."""
    (lost,), (divided,), (whole,) = (view.samples[-1].gpus for view in (panel.LOST, panel.DIVIDED, panel.LONG))
    seen = next(sample for sample in panel.LOST.samples if sample.gpus[0].reason is None)
    parts = [line for line in card_lines(divided, width) if line[0][0].startswith("  MIG")]
    assert len(parts) == 2
    owners = card_lines(whole, width)[3]
    for line in (
        card_lines(lost, width, seen)[-1],
        *parts,
        owners,
        host_lines(panel.NO_GPU.samples[-1].host, width)[-1],
    ):
        text = plain([Row(line)])
        assert len(text) <= width
        assert "…" not in text or text.endswith((" GiB", "n/a"))
        assert "last seen" not in text or "97 %" in text


def test_the_disk_is_told_beside_a_job_at_80_columns_too() -> None:
    host = replace(panel.NO_GPU.samples[-1].host, disk_free=int(55.9 * panel.GIB))
    assert "disk 55.9 GiB free" in plain([Row(host_lines(host, 32)[-1])])


async def test_an_alert_stands_in_the_header_and_rings_once() -> None:
    app = panel.make_app()
    rung: list[int] = []
    app.bell = lambda: rung.append(1)  # type: ignore[method-assign]
    hot = (Alert("temperature:0", "temperature", "GPU 0: 91 °C [red]\x1b", 5.0),)
    async with app.run_test(size=(120, 40)) as pilot:

        async def show(view: TelemetryView) -> None:
            app.post_message(TelemetryLoaded(view))
            await pilot.pause()

        await show(replace(panel.GPU, alerts=(Alert("disk", "disk", "disk nearly full", 1.0),)))
        assert rung == []  # what was up before the panel was opened is seen, not heard
        for _ in range(2):
            await show(replace(panel.GPU, alerts=hot))
        assert rung == [1]
        header = panel.screen_text(app).splitlines()[0]
        assert "⚠ GPU 0: 91 °C [red]" in header
        assert "\x1b" not in header
        await show(panel.GPU)
        await show(replace(panel.GPU, alerts=hot, bell=False))
        assert rung == [1]


async def test_a_record_is_played_in_the_panel(tmp_path: Path, until: Until) -> None:
    path = tmp_path / "night.jsonl"
    with open_record(path) as file:
        for second in range(5):
            write_sample(file, replace(panel.gpu_sample(0.9), time=1000.0 + second))
    views: list[TelemetryView] = []
    app = panel.make_app()
    async with app.run_test(size=(120, 40)) as pilot:

        def post(message: object) -> None:
            assert isinstance(message, TelemetryLoaded)
            views.append(message.telemetry)
            app.post_message(message)

        source = ReplaySource(path, post, speed=1000.0)
        source.watch_history(600.0)
        app.run_worker(source.run, thread=True)
        await until(pilot, lambda: views and views[-1].replay.endswith("end"))
        source.stop()
        await pilot.press("3")
        await until(pilot, lambda: "replay" in panel.screen_text(app))
        assert len(views[-1].samples) == 5
        assert views[-1].history is not None and views[-1].history.spans
    assert isinstance(app, PanelApp)


async def test_a_replay_shows_its_alerts_in_the_header(panel_home: Home, tmp_path: Path, until: Until) -> None:
    path = tmp_path / "night.jsonl"
    with open_record(path) as file:
        for second in range(120):
            sample = panel.gpu_sample(0.9)
            (gpu, *_) = sample.gpus
            write_sample(file, replace(sample, time=1000.0 + second, gpus=(replace(gpu, temperature_c=71.0),)))
    panel_home.config.write_text("[alerts]\ntemperature = 70\n")
    app = PanelApp(panel_home, wanted=Wanted(replay=path, speed=1000.0))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "⚠ GPU 0: 71 °C" in panel.screen_text(app).splitlines()[0])
