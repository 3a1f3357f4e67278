"""Runs beside each other, with real runs on the disk; the tool job is worked by the test where it should be over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import cast

import pytest
from textual.pilot import Pilot

from backends.jobs import comparison, queue, store
from backends.jobs.events import EventWriter
from backends.jobs.ingest import ingest
from backends.jobs.job import Job
from backends.work import compare
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run, list_runs
from fada_tui.app import PanelApp
from fada_tui.screens.compare import CompareScreen
from fada_tui.screens.compareparted import PartedScreen
from fada_tui.screens.comparepick import PickScreen
from tests.answered import AGES, FLAT, RIGHT, ages, answered, record
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import screen_text

SIZE = (120, 40)
Work = Callable[[int], None]


@pytest.fixture(autouse=True)
def _nobody_starts_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("backends.jobs.submit.start_dispatcher", lambda home: None)
    return iter(())


@pytest.fixture
def work(home: Home) -> Work:
    """Do a queued comparison as its worker would."""

    def do(tool: int) -> None:
        folder = home.run_dir(tool)
        spec = store.read_spec(folder)
        assert spec is not None
        events = EventWriter(folder / "events.jsonl")
        events.finished(**compare.run(Job(home, tool, 1, spec, events)))
        store.write_attempt(folder, store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
        with closing(connect(home.runs_db)) as conn:
            ingest(conn, home, tool)

    return do


def tools(home: Home) -> list[int]:
    with closing(connect(home.runs_db, read_only=True)) as conn:
        return [run.id for run in list_runs(conn) if run.kind == "tool"]


async def opened(app: PanelApp, pilot: Pilot[str], home: Home, *runs: int, metric: str | None = None) -> CompareScreen:
    screen = CompareScreen(home, runs, metric)
    app.push_screen(screen)
    await pilot.pause()
    return screen


async def test_a_job_is_queued_waited_for_and_its_result_kept(home: Home, work: Work, until: Until) -> None:
    base, tuned = answered(home, ages(FLAT)), answered(home, ages(RIGHT), generation={"max_new_tokens": 32})
    app = PanelApp(home, live=False)
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, home, base, tuned)
        await until(pilot, lambda: "queued" in screen_text(app))
        text = screen_text(app)
        # What needs no job is there at once: the alarm, and what the specs do not share.
        assert f"⚠ #{base} collapse" in text and "generation.max_new_tokens" in text and "64" in text
        (tool,) = tools(home)
        work(tool)
        await until(pilot, lambda: "Difference in exact" in screen_text(app))
        text = screen_text(app)
        for part in (f"#{tuned} − #{base}", "+0.675 [", "<0.001", "Q5", "exploration", "│", "●", "fingerprints differ"):
            assert part in text
        assert "A, B: no interval: too few images (20, it takes 30)" in text
        await pilot.press("escape")
        await opened(app, pilot, home, tuned, base)
        await until(pilot, lambda: f"made by #{tool}" in screen_text(app))
        assert tools(home) == [tool]


NOT_YET = "they are known when the comparison is done"


async def test_leaving_and_coming_back_waits_for_the_same_job(home: Home, until: Until) -> None:
    runs = answered(home, ages(FLAT)), answered(home, ages(RIGHT))
    app = PanelApp(home, live=False)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(2):
            await opened(app, pilot, home, *runs)
            await until(pilot, lambda: "queued" in screen_text(app))
            await pilot.press("s")
            await until(pilot, lambda: [each.message for each in app._notifications] == [NOT_YET])
            app.clear_notifications()
            await pilot.press("escape")
    assert len(tools(home)) == 1


async def test_a_job_that_ended_badly_says_so_and_is_tried_again(home: Home, work: Work, until: Until) -> None:
    runs = answered(home, ages(FLAT)), answered(home, ages(RIGHT))
    app = PanelApp(home, live=False)
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, home, *runs)
        await until(pilot, lambda: tools(home))
        queue.cancel(home, tools(home)[0])
        await until(pilot, lambda: "r tries again" in screen_text(app))
        await pilot.press("r")
        await until(pilot, lambda: len(tools(home)) == 2)
        work(tools(home)[1])
        await until(pilot, lambda: "Difference in exact" in screen_text(app))


async def test_what_changed_or_was_deleted_since_is_said(home: Home, work: Work, until: Until) -> None:
    runs = answered(home, ages(FLAT)), answered(home, ages(RIGHT))
    app = PanelApp(home, live=False)
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, home, *runs)
        await until(pilot, lambda: tools(home))
        work(tools(home)[0])
        await until(pilot, lambda: "Difference in exact" in screen_text(app))
        queue.remove(home, runs[0])
        await until(pilot, lambda: f"#{runs[0]} was deleted since" in screen_text(app))
        assert "Difference in exact" in screen_text(app)
        await pilot.press("escape")
        await opened(app, pilot, home, *runs)
        await until(pilot, lambda: f"there is no run #{runs[0]} any more" in screen_text(app))
    assert len(tools(home)) == 1


async def test_an_answer_more_makes_a_stored_comparison_old(home: Home, work: Work) -> None:
    runs = sorted((answered(home, ages(FLAT)), answered(home, ages(RIGHT))), reverse=True)
    work(comparison.enqueue_comparison(home, runs, None))
    with closing(connect(home.runs_db)) as conn:
        assert comparison.find(conn, home, runs, None) is not None
        assert comparison.find(conn, home, runs, "bin_accuracy") is None
        assert comparison.find(conn, home, runs[::-1], None) is None
        with open(home.run_dir(runs[0]) / "predictions.jsonl", "a") as file:
            file.write("{}\n")
        assert comparison.find(conn, home, runs, None) is None


async def test_with_itself_unfinished_or_without_answers(home: Home, until: Until) -> None:
    over, live = answered(home, ages(RIGHT)), answered(home, ages(RIGHT), ended=False)
    silent = answered(home, ages(RIGHT))
    (home.run_dir(silent) / "predictions.jsonl").unlink()
    app = PanelApp(home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        for runs, said in (
            ((over, over), "two different runs"),
            ((over, live), f"#{live} is not over yet"),
            ((over, silent), f"#{silent} left no answers"),
        ):
            await opened(app, pilot, home, *runs)
            await until(pilot, lambda said=said: said in screen_text(app))
            await pilot.press("escape")
    assert tools(home) == []


async def test_pairs_metrics_and_ranks_of_three(home: Home, work: Work, until: Until) -> None:
    runs = [answered(home, ages(said)) for said in (FLAT, RIGHT, FLAT)]
    app = PanelApp(home, live=False)
    async with app.run_test(size=(120, 50)) as pilot:
        screen = await opened(app, pilot, home, *runs, metric="bin_accuracy")
        await until(pilot, lambda: tools(home))
        work(tools(home)[0])
        await until(pilot, lambda: "Difference in bin_accuracy" in screen_text(app))
        assert "Ranks" in screen_text(app) and "❯ #" in screen_text(app)
        await pilot.press("m")
        await until(pilot, lambda: "Difference in exact" in screen_text(app))
        first = screen.chosen()
        await pilot.press("right")
        assert screen.chosen() != first
        await until(pilot, lambda: "duplicate: every answer" in screen_text(app))
        await pilot.press("left", "s")
        await until(pilot, lambda: isinstance(app.screen, PartedScreen))


async def test_samples_where_they_part_are_walked_and_filtered(home: Home, work: Work, until: Until) -> None:
    truths = [AGES[at % 3] for at in range(40)]
    wrong = ["\x1b[31mred", *truths[1:20], *["20 weeks ago"] * 20]
    runs = [answered(home, [record(at, said, truths[at]) for at, said in enumerate(texts)]) for texts in (FLAT, wrong)]
    app = PanelApp(home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, home, *runs)
        await until(pilot, lambda: tools(home))
        work(tools(home)[0])
        await until(pilot, lambda: "walks them" in screen_text(app) or "Difference" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, PartedScreen) and "all: " in screen_text(app))
        screen = cast(PartedScreen, app.screen)
        await pilot.press("f")
        assert {one.side for one in screen.list_view.samples} == {"a"}
        assert "only #2 right" in screen_text(app)
        await pilot.press("f", "f")
        assert {one.side for one in screen.list_view.samples} == {"neither"}
        await until(pilot, lambda: "both wrong" in screen_text(app))
        await pilot.press("G")
        await until(pilot, lambda: screen.sample is not None and screen.sample.id in screen_text(app))
        assert "\x1b" not in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, CompareScreen)


async def test_partners_share_questions_the_same_data_first(home: Home, work: Work, until: Until) -> None:
    asked = answered(home, ages(RIGHT))
    other_data = answered(home, ages(FLAT), data={"sha256": "e" * 64, "limit": None})
    same_data = answered(home, ages(FLAT))
    answered(home, [record(at + 100, "x", "y") for at in range(12)])
    answered(home, ages(FLAT), ended=False)
    with closing(connect(home.runs_db)) as conn:
        run = get_run(conn, asked)
    assert run is not None
    app = PanelApp(home, live=False)
    async with app.run_test(size=SIZE) as pilot:
        screen = PickScreen(home, run)
        app.push_screen(screen)
        await until(pilot, lambda: screen.data is not None)
        assert [(one.run.id, one.same_data) for one in screen.data] == [(same_data, True), (other_data, False)]
        await until(pilot, lambda: "⚠" in screen_text(app))
        await pilot.press("m", "m", "enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: tools(home))
        assert f"#{other_data}" in screen_text(app)


async def test_a_comparison_in_the_queue_opens_what_it_found(home: Home, work: Work, until: Until) -> None:
    runs = sorted((answered(home, ages(FLAT)), answered(home, ages(RIGHT))), reverse=True)
    tool = comparison.enqueue_comparison(home, runs, None)
    work(tool)
    app = PanelApp(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.dashboard.queue.key == f"run:{tool}")
        await until(pilot, lambda: "v shows what it found" in screen_text(app))
        await pilot.press("2", "v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and f"made by #{tool}" in screen_text(app))
        assert tools(home) == [tool]
