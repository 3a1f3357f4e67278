"""Everything that a run scored: tables and plots of real runs on the disk."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from textual.pilot import Pilot

from backends.jobs import queue
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run, Score
from fada_tui.app import PanelApp
from fada_tui.screens import scorerows
from fada_tui.screens.scores import ScoresScreen
from fada_tui.sources.scoreview import ScoreSource, ScoreView
from fada_tui.widgets.line import line_width, plain
from tests.answered import AGES, FLAT, RIGHT, ages, answered
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import screen_text


def run_of(home: Home, run_id: int) -> Run:
    with closing(connect(home.runs_db)) as conn:
        run = get_run(conn, run_id)
    assert run is not None
    return run


def read(home: Home, run_id: int) -> ScoreView:
    with closing(connect(home.runs_db)) as conn:
        return ScoreSource(home, run_id).read(conn)


async def shown(app: PanelApp, pilot: Pilot[str], until: Until, home: Home, run_id: int) -> ScoresScreen:
    screen = ScoresScreen(home, run_of(home, run_id))
    app.push_screen(screen)
    await until(pilot, lambda: screen.data is not None and "Reading" not in screen_text(app))
    return screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_collapsed_run_says_so_above_its_scores(home: Home, until: Until, size: tuple[int, int]) -> None:
    flat = answered(home, ages(FLAT))
    app = PanelApp(home, live=False)
    async with app.run_test(size=size) as pilot:
        screen = await shown(app, pilot, until, home, flat)
        text = screen_text(app)
        for part in ("⚠ collapse: Q5", "⚠ exact", "floor majority", "exact by category"):
            assert part in text
        assert text.index("⚠ collapse") < text.index("0.325")
        whole = plain(screen.view.make)
        assert "⚠ rings" in whole and "100 %" in whole and "Every score" in whole and "exact by question" in whole
        width = screen.view.scrollable_content_region.width
        assert all(line_width(row.line) <= width for row in screen.view.make)
        await pilot.press("tab")
        await pilot.pause()
        assert screen.view.scroll_offset.y > 0 or screen.view.max_scroll_y == 0
        queue.remove(home, flat)
        await until(pilot, lambda: "was deleted" in screen_text(app))


def test_how_far_a_run_is_from_the_alarm(home: Home) -> None:
    (flat,) = read(home, answered(home, ages(FLAT))).flatness
    (right,) = read(home, answered(home, ages(RIGHT))).flatness
    assert (flat.rings, right.rings) == (True, False)
    assert flat.said.top_share == 1 and flat.ringing_share == 0.9
    assert right.said == right.true and flat.ringing_entropy == pytest.approx(0.3 * right.said.entropy)
    # Failures are no answers.
    failed = read(home, answered(home, ages(["14 weeks", None] * 20))).flatness[0]
    assert failed.said.n == failed.true.n == 20


def test_of_a_benchmark_the_plot_is_of_what_its_alarm_is_of(home: Home) -> None:
    each = ages([AGES[at % 2] for at in range(40)])  # one answer for each of two data sets
    sets = read(home, answered(home, each, task="u2bench")).flatness
    assert [(one.question, one.rings) for one in sets] == [("Q5 A", True), ("Q5 B", True)]
    assert [one.rings for one in read(home, answered(home, each)).flatness] == [False]
    assert read(home, answered(home, each, task="fetal-gauge")).flatness == ()


def test_values_of_single_answers_are_counted_where_they_are_kept(home: Home) -> None:
    run_id = answered(home, ages(RIGHT))
    without = read(home, run_id)
    assert without.counts == {}
    assert "a rescore does" in plain(scorerows.histogram_rows(without.counts, "exact", 80))
    rows = [{"id": f"{at}", "exact": at % 2, "cosine": at / 40} for at in range(40)]
    lines = "".join(json.dumps(row) + "\n" for row in rows) + '[1]\nnot json\n{"id": "x", "exact": NaN}\n{"id": "torn'
    (home.run_dir(run_id) / "values.jsonl").write_text(lines)
    counts = read(home, run_id).counts
    assert counts["exact"] == {0.0: 20, 1.0: 20} and sum(counts["cosine"].values()) == 40
    said = plain(scorerows.histogram_rows(counts, "exact", 80))
    assert said.count("█") and "50 %" in said and "20" in said
    assert len(scorerows.histogram_rows(counts, "cosine", 80)) == 12


def held_out(step: int, value: float) -> Score:
    return Score(
        1, "m", "finetune", "exact", None, None, value, value - 0.1, value + 0.1, 160, 160, 0, "run", {"majority": 0.38},
        step=step, partial=True,
    )  # fmt: skip


@pytest.mark.parametrize("width", [78, 118, 198])
def test_a_held_out_curve_has_its_band_and_its_floor(width: int) -> None:
    view = ScoreView(None, held_out=tuple(held_out(step, 0.2 + step / 1000) for step in range(100, 700, 100)))
    rows = scorerows.held_out_rows(view, "exact", width)
    text = plain(rows)
    assert "0.800 [0.700, 0.900] at step 600" in text and "╌" in text and "floor majority 0.380" in text
    assert all(line_width(row.line) <= width for row in rows)
    assert scorerows.held_out_rows(view, "cosine", width) == []


async def test_a_run_without_scores_and_one_that_goes_on(home: Home, until: Until) -> None:
    live = answered(home, ages(RIGHT), ended=False)
    app = PanelApp(home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until, home, live)
        await until(pilot, lambda: "No scores yet" in screen_text(app))
