"""What the panel looks like, at the sizes that it must fit (SVG; look at the report when one differs)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fada_tui.sources.views import RunList
from tests.fada_tui import panel

SIZES = [(80, 24), (120, 40)]
STATES = {
    "fresh": panel.fed(RunList(), None, panel.NO_GPU),
    "running": panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU),
    "failed": panel.fed(panel.RUNS, panel.FAILED_VIEW, panel.NO_GPU, "4"),
    "not-available": panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU_NA, "3"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
def test_dashboard(snap_compare: Callable[..., bool], state: str, size: tuple[int, int]) -> None:
    assert snap_compare(panel.make_app(), terminal_size=size, run_before=STATES[state])


def test_wide(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(panel.make_app(), terminal_size=(200, 60), run_before=STATES["running"])


def test_help(snap_compare: Callable[..., bool]) -> None:
    before = panel.fed(panel.RUNS, panel.RUN_VIEW, panel.GPU, "question_mark")
    assert snap_compare(panel.make_app(), terminal_size=(80, 40), run_before=before)


def test_evaluate_form(snap_compare: Callable[..., bool]) -> None:
    before = panel.fed(RunList(), None, panel.NO_GPU, "e")
    assert snap_compare(panel.make_app(), terminal_size=(80, 24), run_before=before)


def test_too_small(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(panel.make_app(), terminal_size=(20, 5), run_before=STATES["fresh"])
