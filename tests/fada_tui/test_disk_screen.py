"""The disk report and the runs that were put away: in the panel as by command."""

from __future__ import annotations

from contextlib import closing

import pytest
from textual.pilot import Pilot

from backends.jobs import store
from backends.jobs.disk import WHOLE, DiskUse, RunUse, checkpoints, disk_use
from backends.jobs.ingest import adopt, ingest
from backends.jobs.labelling import archive
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run, list_runs
from fada_tui.app import PanelApp
from fada_tui.format import size
from fada_tui.screens.archived import ArchivedScreen
from fada_tui.screens.confirm import ConfirmScreen
from fada_tui.screens.dashboard import Dashboard
from fada_tui.screens.delete import DeleteScreen
from fada_tui.screens.disk import DiskScreen, Looked, disk_rows
from fada_tui.screens.log import LogScreen
from fada_tui.widgets.line import plain
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import screen_text


def make_tuned(home: Home, steps: tuple[int, ...] = (1, 2, 3), *, over: bool = True, tag: str = "m") -> int:
    """A fine-tune with checkpoints, over or held."""
    number = store.allocate(home)
    store.create(home, number, {"kind": "finetune", "model": {"name": tag}, "created": 1.0, "held": not over})
    folder = home.run_dir(number)
    if over:
        store.write_attempt(folder, store.Attempt(1, started=1.0, ended=2.0, exit_code=1))
    for step in steps:
        checkpoint = folder / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "model.safetensors").write_bytes(b"x" * 300_000)
        (checkpoint / WHOLE).touch()
    with closing(connect(home.runs_db)) as conn:
        adopt(conn, home, number)
        ingest(conn, home, number)
    return number


def prunable(home: Home) -> int:
    with closing(connect(home.runs_db, read_only=True)) as conn:
        return disk_use(conn, home).prunable


def archived(home: Home, number: int) -> bool | None:
    with closing(connect(home.runs_db, read_only=True)) as conn:
        run = get_run(conn, number)
    return run.archived if run else None


async def open_disk(app: PanelApp, pilot: Pilot[str], until: Until) -> DiskScreen:
    await until(pilot, lambda: loaded(app))
    await pilot.press("F")
    await until(pilot, lambda: isinstance(app.screen, DiskScreen) and app.screen.looked)
    assert isinstance(app.screen, DiskScreen)
    return app.screen


def said(app: PanelApp) -> str:
    return " ".join(one.message for one in app._notifications)


@pytest.mark.parametrize("width", [80, 120])
async def test_the_disk_report_says_what_a_prune_would_free(panel_home: Home, until: Until, width: int) -> None:
    number = make_tuned(panel_home)
    app = PanelApp(panel_home)
    async with app.run_test(size=(width, 24)) as pilot:
        await open_disk(app, pilot, until)
        await pilot.pause()
        shown = " ".join(screen_text(app).split())
        freed = size(prunable(panel_home))
        assert f"P would free {freed}: checkpoints of 1 run, but best and last" in shown
        assert f"#{number} finetune m" in shown and f"prune {freed}" in shown


async def test_one_run_is_pruned_when_that_is_confirmed(panel_home: Home, until: Until) -> None:
    one, other = make_tuned(panel_home), make_tuned(panel_home)
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_disk(app, pilot, until)
        screen.view.choose(f"run:{other}")
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("enter", "n")
        assert list(checkpoints(panel_home.run_dir(other))) == [1, 2, 3]
        await pilot.press("p", "y")
        await until(pilot, lambda: list(checkpoints(panel_home.run_dir(other))) == [3])
        assert list(checkpoints(panel_home.run_dir(one))) == [1, 2, 3]
        await until(pilot, lambda: screen.looked and screen.looked.use.prunable == prunable(panel_home))
        await until(pilot, lambda: screen.chosen and screen.chosen.prunable == 0)
        await pilot.press("p")
        await until(pilot, lambda: "nothing of it would be pruned" in said(app))
        await pilot.press("P", "y")
        await until(pilot, lambda: prunable(panel_home) == 0)
        assert list(checkpoints(panel_home.run_dir(one))) == [3]


async def test_a_run_is_deleted_from_the_report_but_not_one_that_waits(panel_home: Home, until: Until) -> None:
    one, waiting = make_tuned(panel_home), make_tuned(panel_home, (1,), over=False)
    app = PanelApp(panel_home)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_disk(app, pilot, until)
        screen.view.choose(f"run:{waiting}")
        await pilot.press("d")
        await until(pilot, lambda: "is not over" in said(app))
        screen.view.choose(f"run:{one}")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DeleteScreen) and app.screen.users is not None)
        await pilot.press("y")
        await until(pilot, lambda: not panel_home.run_dir(one).exists())
        await until(pilot, lambda: screen.looked and [use.run for use in screen.looked.use.runs] == [waiting])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_what_was_put_away_is_listed_brought_back_and_deleted(panel_home: Home, until: Until) -> None:
    first, second = make_tuned(panel_home, tag="first"), make_tuned(panel_home, tag="second")
    archive(panel_home, [first, second])
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("2", "Z")
        await until(pilot, lambda: isinstance(app.screen, ArchivedScreen) and app.screen.data)
        await until(pilot, lambda: "2 runs" in screen_text(app))
        assert screen_text(app).index("second") < screen_text(app).index("first")
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LogScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ArchivedScreen))
        await pilot.press("X")
        await until(pilot, lambda: archived(panel_home, second) is False)
        await until(pilot, lambda: "1 run" in screen_text(app) and "second" not in screen_text(app))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DeleteScreen) and app.screen.users is not None)
        assert "X puts it away instead" not in screen_text(app)
        await pilot.press("y")
        await until(pilot, lambda: archived(panel_home, first) is None)
        await until(pilot, lambda: "Nothing is put away." in screen_text(app))


async def test_the_toast_says_how_it_comes_back(panel_home: Home, until: Until) -> None:
    number = make_tuned(panel_home)
    app = PanelApp(panel_home)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: loaded(app) and app.runs.get(number))
        await pilot.press("2", "X")
        await until(pilot, lambda: f"Z lists it and brings it back, as does `fada unarchive {number}`" in said(app))


@pytest.mark.parametrize(("freed", "whole"), [(0, "weights 900 MiB"), (1, "")])
def test_a_kind_that_has_no_room_is_left_out_whole(home: Home, freed: int, whole: str) -> None:
    make_tuned(home, tag="Qwen2.5-VL-7B-Instruct-AWQ-int4")
    with closing(connect(home.runs_db)) as conn:
        runs = {one.id: one for one in list_runs(conn)}
    use = RunUse(1, {"weights": 900 << 20, "logs": 5 << 20}, freed)
    row = disk_rows(Looked(DiskUse(use.kinds, (use,)), runs, 1 << 40, 0.0), 76)[-1]
    text = plain([row])
    assert whole in text and "…" not in text.removeprefix(text[:50])
