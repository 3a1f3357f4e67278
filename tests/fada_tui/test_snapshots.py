"""What the panel looks like, at the sizes that it must fit (SVG; look at the report when one differs)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from fada_tui.app import PanelApp
from fada_tui.listing.order import FIXED, Order
from fada_tui.screens.accept import AcceptScreen
from fada_tui.screens.full import FullScreen
from fada_tui.screens.modelrows import known_rows
from fada_tui.screens.order import OrderScreen
from fada_tui.screens.prompt import PromptScreen
from fada_tui.screens.statsrows import coverage_rows, figure_rows
from fada_tui.screens.status import StatusScreen
from fada_tui.screens.syncrows import plan_rows
from fada_tui.sources.views import RunList
from fada_tui.widgets.line import Row
from fada_tui.widgets.palettes import PALETTES
from tests.fada_tui import panel
from tests.fada_tui import test_proposal_screen as proposed
from tests.fada_tui import test_queue as queued
from tests.fada_tui import test_tracker_rows as tracked

NOON = datetime(2026, 1, 27, 12).timestamp()
"""Told in local time, so the picture is the same wherever it is made."""
SIZES = [(80, 24), (120, 40)]
THREE = [*SIZES, (200, 60)]
_LONG = "an-organisation/A-model-whose-name-is-longer-than-any-column-at-any-size-医学-超声-⚕-Instruct-v2.5-final"
LONG_NAMES = RunList(
    tuple(replace(run, model=_LONG, tags=("night", "a tag that is long too")) for run in panel.RUNS.runs),
    panel.RUNS.scores,
)


async def nothing_yet(pilot: Pilot[str]) -> None:
    """The sources have not answered."""
    await pilot.pause()


STATES = {
    "loading": nothing_yet,
    "fresh": panel.fed(RunList(), None, panel.NO_GPU),
    "running": panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU),
    "failed": panel.fed(panel.RUNS, panel.FAILED_VIEW, panel.NO_GPU, "4"),
    "not-available": panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU_NA, "3"),
    "long-names": panel.fed(LONG_NAMES, replace(panel.RUN_VIEW, run=LONG_NAMES.runs[2]), panel.GPU, "2"),
    "no-gpu": panel.fed(panel.RUNS, panel.RUN_VIEW, panel.NO_GPU, "3"),
    "gpu-lost": panel.fed(panel.RUNS, panel.RUN_VIEW, panel.LOST, "3"),
}


@pytest.mark.parametrize("size", THREE, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
def test_dashboard(snap_compare: Callable[..., bool], state: str, size: tuple[int, int]) -> None:
    assert snap_compare(panel.make_app(), terminal_size=size, run_before=STATES[state])


def test_help(snap_compare: Callable[..., bool]) -> None:
    before = panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU, "question_mark")
    assert snap_compare(panel.make_app(), terminal_size=(80, 40), run_before=before)


def test_evaluate_form(snap_compare: Callable[..., bool]) -> None:
    before = panel.fed(RunList(), None, panel.NO_GPU, "e")
    assert snap_compare(panel.make_app(), terminal_size=(80, 24), run_before=before)


def test_too_small(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(panel.make_app(), terminal_size=(20, 5), run_before=STATES["fresh"])


class Shown(FullScreen):
    """Rows as their screen would show them, for a width in cells."""

    def __init__(self, title: str, rows: Callable[[int], list[Row]]) -> None:
        super().__init__(title)
        self._rows = rows

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        self.view.show(self._rows(self.view.scrollable_content_region.width))


def stats_rows(width: int) -> list[Row]:
    return [*figure_rows(tracked.FIGURES, width), Row(()), *coverage_rows(tracked.COVERED, width)]


SCREENS: dict[str, Callable[[], Screen[Any]]] = {
    "status": lambda: StatusScreen(panel.TRACKER.models[:4], 1),
    "order": lambda: OrderScreen(FIXED, Order.by("VRAM", flat=True)),
    "proposal": lambda: AcceptScreen(proposed.MODEL, replace(proposed.PROPOSAL, ended=NOON)),
    "note": lambda: PromptScreen("Note of 3 models", facts=("3 different notes; what is written takes their place",)),
    "stats": lambda: Shown("Stats", stats_rows),
    "sync": lambda: Shown("Sync with note.md", lambda width: plan_rows(tracked.PLAN, {0: "ours"}, width)),
    "model": lambda: Shown(
        "Qwen2.5-VL-7B", lambda width: known_rows(replace(tracked.KNOWN, runs=(), history=()), width)
    ),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_tracker_screen(snap_compare: Callable[..., bool], name: str, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[str]) -> None:
        await STATES["running"](pilot)
        pilot.app.push_screen(SCREENS[name]())
        await pilot.pause()
        await pilot.pause()

    assert snap_compare(panel.make_app(), terminal_size=size, run_before=before)


QUEUE = replace(queued.QUEUE, outlook=queued.OUTLOOK)


@pytest.mark.parametrize(
    ("size", "keys"), [((80, 24), "2"), ((120, 40), "2"), ((120, 24), "2z"), ((80, 24), "2c")], ids=str
)
def test_queue(snap_compare: Callable[..., bool], size: tuple[int, int], keys: str) -> None:
    before = panel.fed(QUEUE, queued.PAUSED_VIEW, panel.GPU, *keys)
    assert snap_compare(panel.make_app(), terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", [name for name in PALETTES if name != "dark"])
def test_theme(snap_compare: Callable[..., bool], theme: str) -> None:
    app = panel.make_app()
    app.theme = theme
    assert snap_compare(app, terminal_size=(80, 24), run_before=STATES["running"])


def test_jump(snap_compare: Callable[..., bool]) -> None:
    before = panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU, "apostrophe")
    assert snap_compare(panel.make_app(), terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("size", THREE, ids=lambda size: f"{size[0]}x{size[1]}")
def test_first_page(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    app = PanelApp(panel.NOWHERE, live=False, greet=True)
    assert snap_compare(app, terminal_size=size, run_before=STATES["fresh"])


def test_marks_in_the_pane(snap_compare: Callable[..., bool]) -> None:
    before = panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU, "m", "m")
    assert snap_compare(panel.make_app(), terminal_size=(120, 40), run_before=before)
