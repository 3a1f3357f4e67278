"""The Queue pane and the keys that steer a job: on data that is handed in, and on real jobs."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from itertools import product

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from backends.jobs import queue, store
from backends.jobs.ingest import adopt, ingest
from backends.jobs.labelling import tag
from db.connect import connect, immediate
from db.home import Home
from db.runs.queries import get_run, list_runs, runs_in_state, scores
from db.runs.rows import MetricSummary, Run
from fada_tui.app import PanelApp
from fada_tui.screens.confirm import ConfirmScreen
from fada_tui.screens.delete import DeleteScreen
from fada_tui.screens.labels import LabelsForm, TagSuggester
from fada_tui.sources.views import Outlook, RunList, RunView
from fada_tui.sources.watcher import load_view
from fada_tui.widgets.line import plain
from tests.conftest import end_processes
from tests.fada_tui import panel
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import loaded
from tests.fada_tui.panel import GIB, feed, make_app, screen_text

SIZE = (120, 40)
TIGHT = replace(
    panel.run(14, "queued", name="MiniCPM-V-2.6"),
    reason="needs 17.0 GiB of VRAM, 11.9 GiB free",
    reserved_bytes=17 * GIB,
)
PAUSED = replace(panel.RUNNING, state="paused", rate=None, reserved_bytes=18 * GIB, tags=("night", "v2"))
OUTLOOK = Outlook("done by 07:40", "done by 07:40", {14: 12}, {12: "seen in #9", 14: "estimated"})

QUEUE = RunList((panel.run(9, "done"), PAUSED, TIGHT, panel.run(15, "held")), panel.RUNS.scores)
SPREAD = tuple(replace(point, low=point.value * 0.7, high=point.value * 1.4) for point in panel.LOSS)
PAUSED_VIEW = RunView(
    replace(PAUSED, note="the one for the paper", peak_bytes=15 * GIB, attempt=2),
    curves={"loss": SPREAD},
    reserved_because="seen in #9",
    max_seconds=7200.0,
)


async def rows(runs: RunList, size: tuple[int, int], *keys: str) -> dict[str | None, str]:
    """The rows of the Queue pane by their keys; its border under None."""
    app = make_app()
    async with app.run_test(size=size) as pilot:
        feed(app, runs, None, panel.NO_GPU)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        pane = app.dashboard.queue
        found = {row.key: plain([row]) for row in pane.rows if row.key}
        return {**found, None: str(pane.border_subtitle)}


async def test_a_wide_queue_says_what_is_reserved_and_why_it_waits() -> None:
    shown = await rows(RunList((replace(panel.RUNNING, reserved_bytes=18 * GIB), TIGHT), (), OUTLOOK), SIZE, "2", "z")
    assert "18.0 GiB seen in #9" in shown["run:12"]
    assert "3.2 steps/s" in shown["run:12"]
    assert shown["run:14"].endswith("needs 17.0 GiB of VRAM, 11.9 GiB free; next after #12")
    assert shown[None] == "done by 07:40"


async def test_in_little_room_the_reason_is_said_in_few_words() -> None:
    shown = await rows(RunList((panel.RUNNING, TIGHT), (), OUTLOOK), (120, 40))
    assert "MiniC" in shown["run:14"]
    assert "needs 17.0 G, 11.9 free" in shown["run:14"]


async def test_at_80_columns_the_row_keeps_what_counts_and_the_run_pane_says_the_rest() -> None:
    """With the focus at the right there are 32 cells: a name, a figure and the sign that it is doubtful."""
    doubtful = replace(panel.run(11, "done", name="Qwen2.5-VL-7B"))
    shown = await rows(RunList((panel.RUNNING, TIGHT, doubtful), panel.RUNS.scores), (80, 24), "4")
    assert "M" in shown["run:14"].removeprefix("· #14 eval gt")
    assert shown["run:14"].endswith("needs 17.0 G")
    assert shown["run:11"].endswith("0.740 ⚠")
    text = await run_pane(RunView(TIGHT), (80, 24))
    assert "needs 17.0 GiB of VRAM, 11.9 GiB free" in " ".join(text.split("\n"))
    silent = replace(panel.RUNNING, done=None, total=None)
    assert "Nothing yet; l shows the log." in await run_pane(RunView(silent), (80, 24))


async def test_what_each_attempt_says_again_stands_there_once(panel_home: Home) -> None:
    with closing(connect(panel_home.runs_db)) as conn:
        run_id = store.allocate(panel_home)
        store.create(panel_home, run_id, {"kind": "run", "title": "twice", "created": 1.0, "env": {}, "cwd": "/"})
        said = ["3 images are small", "no bf16 here", "3 images are small", "from step 100", "no bf16 here"]
        events = [{"t": 2.0 + at, "kind": "message", "level": "warning", "text": text} for at, text in enumerate(said)]
        (panel_home.run_dir(run_id) / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
        assert adopt(conn, panel_home, run_id)
        ingest(conn, panel_home, run_id)
        view = load_view(conn, run_id)
    assert view is not None
    assert [one.text for one in view.messages] == ["3 images are small", "from step 100", "no bf16 here"]


async def test_a_paused_run_says_so_and_keeps_its_bar_and_tags() -> None:
    shown = await rows(RunList((PAUSED,), (), OUTLOOK), SIZE, "2", "z")
    assert shown["run:12"].startswith("‖ #12")
    assert shown["run:12"].endswith("33 % paused")
    assert "[night] [v2]" in shown["run:12"]
    assert "18.0 GiB seen in #9" in shown["run:12"]


@pytest.mark.parametrize(("width", "said"), [(120, "end of #14 not known"), (200, "how long #14")])
async def test_what_is_not_known_is_said_as_far_as_there_is_room(width: int, said: str) -> None:
    long = "how long #14 will take is not known; the others by Tue 07:40"
    outlook = Outlook(long, "end of #14 not known")
    shown = await rows(RunList((panel.RUNNING, TIGHT), (), outlook), (width, 40))
    assert shown[None].startswith(said)


async def run_pane(view: RunView, size: tuple[int, int] = SIZE) -> str:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        feed(app, RunList((view.run,)), view, panel.NO_GPU)
        await pilot.pause()
        return plain(app.dashboard.run_pane.rows)


async def test_the_run_pane_says_memory_limit_attempt_tags_and_note() -> None:
    run = replace(PAUSED, attempt=2, peak_bytes=15 * GIB, note="the one for the paper")
    why = "raised after attempt 1 ran out of memory"
    text = await run_pane(RunView(run, reserved_because=why, max_seconds=7200.0))
    assert "‖ paused" in text and "attempt 2" in text
    assert "frees no memory; P goes on" in text
    assert f"peak 15.0 GiB  reserved 18.0 GiB ({why})" in " ".join(text.split("\n"))
    assert "[night] [v2]\nthe one for the paper" in text
    longer = await run_pane(RunView(replace(run, reserved_bytes=None), max_seconds=7200.0))
    assert "peak 15.0 GiB  at most 2:00:00" in longer


async def test_curves_of_a_program_of_ones_own_are_drawn_whatever_their_names() -> None:
    reward = tuple(replace(point, name="reward", value=-point.value) for point in panel.LOSS)
    view = RunView(panel.RUNNING, curves={"reward": reward}, others=(MetricSummary("lr", 1e-4, 9, 0.0, 1e-4),))
    text = await run_pane(view)
    assert "reward -0.2" in text and " -5–0, step 804/2,400" in text
    assert "lr 0.0001" in text


@pytest.mark.parametrize(
    ("run", "keys"),
    [
        (panel.RUNNING, ["s stop and save", "y cancel it now"]),
        (replace(panel.RUNNING, kind="run"), ["y cancel it · n"]),
    ],
)
async def test_only_what_can_save_is_asked_to(run: Run, keys: list[str]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        feed(app, RunList((run,)), RunView(run), panel.NO_GPU)
        await pilot.pause()
        await pilot.press("2", "c")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        assert all(key in screen_text(app) for key in keys)
        await pilot.press("s")
        assert isinstance(app.screen, ConfirmScreen) == (run is not panel.RUNNING)


async def test_a_tag_is_completed_at_the_end_of_the_line() -> None:
    suggester = TagSuggester(["night", "Nightly", "v2", "night"])
    assert await suggester.get_suggestion("v2 ni") == "v2 night"
    assert await suggester.get_suggestion("night ni") == "night nightly"
    assert await suggester.get_suggestion("v2 ") is None


# On jobs that are there


def look(home: Home, number: int) -> Run:
    with closing(connect(home.runs_db, read_only=True)) as conn:
        run = get_run(conn, number)
    assert run is not None
    return run


def order(home: Home) -> list[int]:
    with closing(connect(home.runs_db, read_only=True)) as conn:
        return [run.id for run in runs_in_state(conn, "held")]


def make_runs(home: Home, count: int, *, over: bool = False) -> list[int]:
    """Runs of a command that wait for a person, or are over."""
    made = []
    with closing(connect(home.runs_db)) as conn:
        for _ in range(count):
            number = store.allocate(home)
            spec = {"kind": "run", "task": None, "title": "test", "created": 1.0, "held": not over, "command": ["true"]}
            store.create(home, number, spec)
            if over:
                store.write_attempt(home.run_dir(number), store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
            adopt(conn, home, number)
            ingest(conn, home, number)
            made.append(number)
    return made


async def chosen(app: PanelApp, pilot: Pilot[str], until: Until, number: int) -> None:
    await until(pilot, lambda: loaded(app) and app.runs.get(number))
    await pilot.press("2")
    assert app.dashboard.queue.choose(f"run:{number}")
    app.dashboard.pick(number)
    await until(pilot, lambda: app.dashboard.run_pane.view and app.dashboard.run_pane.view.run.id == number)


async def test_a_waiting_job_is_moved_and_the_cursor_goes_along(panel_home: Home, until: Until) -> None:
    one, two, three = make_runs(panel_home, 3)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, one)
        await pilot.press("J", "J", "J")
        await until(pilot, lambda: order(panel_home) == [two, three, one])
        await until(pilot, lambda: [run.id for run in app.runs.waiting] == [two, three, one])
        assert app.dashboard.queue.key == f"run:{one}"
        await pilot.press("less_than_sign")
        await until(pilot, lambda: order(panel_home) == [two, one, three])
        assert not app.screen.query("Toast")


async def test_tags_and_note_are_written_and_taken_away(panel_home: Home, until: Until) -> None:
    (number,) = make_runs(panel_home, 1)
    tag(panel_home, number, ["old", "kept"])
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, number)
        await until(pilot, lambda: look(panel_home, number).tags == app.runs.get(number).tags)  # type: ignore[union-attr]
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, LabelsForm) and app.screen.query("#field-tags"))
        assert app.screen.focused is app.screen.query_one("#field-tags")
        app.screen.query_one("#field-tags", Input).value = "kept new"
        app.screen.query_one("#field-note", Input).value = "for [b]table[/b] 3"
        await pilot.press("enter")
        await until(pilot, lambda: look(panel_home, number).note == "for [b]table[/b] 3")
        assert look(panel_home, number).tags == ("kept", "new")
        await until(pilot, lambda: "[kept] [new]" in screen_text(app))


async def test_a_tag_that_is_none_is_refused_in_the_form(panel_home: Home, until: Until) -> None:
    (number,) = make_runs(panel_home, 1)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, number)
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, LabelsForm) and app.screen.query("#field-tags"))
        app.screen.query_one("#field-tags", Input).value = "x" * 65
        await pilot.press("enter")
        await until(pilot, lambda: "at most 64" in screen_text(app))
        assert look(panel_home, number).tags == ()


async def test_what_has_not_begun_is_cancelled_without_a_question(panel_home: Home, until: Until) -> None:
    """Nothing is lost: r queues it again. Where another waits for it, that one would go too: this is asked."""
    first, parent, child = make_runs(panel_home, 3)
    with closing(connect(panel_home.runs_db)) as conn, immediate(conn):
        conn.execute("INSERT INTO dependencies(run, parent, any_end) VALUES (?, ?, 0)", (child, parent))
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, first)
        await pilot.press("c")
        assert app.screen is app.dashboard
        await until(pilot, lambda: look(panel_home, first).state == "cancelled")
        await until(pilot, lambda: any("r queues it again" in one.message for one in app._notifications))
        await chosen(app, pilot, until, parent)
        await pilot.press("c")
        assert isinstance(app.screen, ConfirmScreen)
        assert f"Waiting for it: #{child}" in screen_text(app)
        assert look(panel_home, parent).state == "held"


async def test_finished_runs_are_put_away_one_after_the_other(panel_home: Home, until: Until) -> None:
    made = make_runs(panel_home, 3, over=True)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, made[2])
        await pilot.press("j", "k")
        await pilot.press("X")
        await until(pilot, lambda: [run.id for run in app.runs.runs] == made[:2])
        await pilot.press("X")
        await until(pilot, lambda: [run.id for run in app.runs.runs] == made[:1])
        assert [look(panel_home, number).archived for number in made] == [False, True, True]


async def test_a_run_is_deleted_once_it_is_said_what_that_frees(panel_home: Home, until: Until) -> None:
    (number,) = make_runs(panel_home, 1, over=True)
    (panel_home.run_dir(number) / "log.txt").write_bytes(b"x" * (1 << 20))
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, number)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DeleteScreen) and "logs 1.0 MiB" in screen_text(app))
        await pilot.press("enter")
        assert panel_home.run_dir(number).is_dir()
        await pilot.press("y")
        await until(pilot, lambda: app.runs.get(number) is None)
        assert not panel_home.run_dir(number).exists()


async def test_deleting_says_who_needs_it_and_does_not_answer_before(panel_home: Home, until: Until) -> None:
    parent, child = make_runs(panel_home, 2, over=True)
    with closing(connect(panel_home.runs_db)) as conn, immediate(conn):
        conn.execute("UPDATE runs SET from_run = ? WHERE id = ?", (parent, child))
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await chosen(app, pilot, until, parent)
        screen = DeleteScreen(panel_home, look(panel_home, parent))
        assert not screen.may_answer()
        app.push_screen(screen)
        await until(pilot, lambda: screen.users == (child,))
        await pilot.pause()
        assert f"⚠ #{child} used what it left" in screen_text(app)


async def test_a_running_job_is_paused_and_goes_on(panel_home: Home, until: Until) -> None:
    number = queue.enqueue_command(panel_home, ["sleep", "300"])
    app = PanelApp(panel_home)
    try:
        async with app.run_test(size=SIZE) as pilot:
            await chosen(app, pilot, until, number)
            await until(pilot, lambda: app.runs.get(number).state == "running")  # type: ignore[union-attr]
            await pilot.press("P")
            await until(pilot, lambda: app.runs.get(number).state == "paused")  # type: ignore[union-attr]
            await until(pilot, lambda: any("pausing frees no VRAM" in one.message for one in app._notifications))
            assert f"#{number} paused" in str(app.dashboard.queue.border_subtitle)
            await pilot.press("R")
            await until(pilot, lambda: app.runs.get(number).state == "running")  # type: ignore[union-attr]
            await pilot.press("c", "y")
            await until(pilot, lambda: app.runs.get(number).state == "cancelled")  # type: ignore[union-attr]
    finally:
        end_processes(panel_home)


async def test_the_pane_of_a_command_that_failed_shows_how_its_log_ends(panel_home: Home, until: Until) -> None:
    number = queue.enqueue_command(panel_home, ["sh", "-c", "echo one; echo; echo 'KeyError: [b]x[/b]' >&2; exit 3"])
    app = PanelApp(panel_home)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await chosen(app, pilot, until, number)
            await pilot.press("z", "4")
            await until(pilot, lambda: "exit code 3" in screen_text(app))
            await until(pilot, lambda: "its log ends with" in screen_text(app))
            assert "  KeyError: [b]x[/b]" in screen_text(app)
    finally:
        end_processes(panel_home)


async def test_in_a_narrow_queue_reasons_are_said_in_few_words() -> None:
    slots = replace(panel.run(14, "queued", name="MiniCPM-V-2.6"), reason="all 2 slots are taken")
    lost = replace(panel.run(9, "lost", name="Pixtral-12B"), reason="its runner died, so how it ended is not known")
    shown = await rows(RunList((panel.RUNNING, slots, lost)), (80, 24))
    assert shown["run:14"].endswith("2 slots taken") and shown["run:9"].endswith("its runner died")


async def test_a_run_that_saves_says_so_and_when_it_can_be_resumed(panel_home: Home, until: Until) -> None:
    number = queue.enqueue_command(panel_home, ["sleep", "300"])
    app = PanelApp(panel_home)
    try:
        async with app.run_test(size=SIZE) as pilot:
            await chosen(app, pilot, until, number)
            await until(pilot, lambda: app.runs.get(number).state == "running")  # type: ignore[union-attr]
            with closing(connect(panel_home.runs_db)) as conn:
                with immediate(conn):
                    conn.execute("UPDATE runs SET kind = 'finetune' WHERE id = ?", (number,))
                    store.change_control(panel_home.run_dir(number), stop=True)
                ingest(conn, panel_home, number)
            await until(pilot, lambda: "saving, then it stops" in screen_text(app))
            await pilot.press("R")
            said = f"run #{number} is still saving: it can be resumed when it has saved"
            await until(pilot, lambda: any(said in one.message for one in app._notifications))
    finally:
        end_processes(panel_home)


async def test_a_benchmark_that_was_asked_in_part_shows_its_tasks(home: Home) -> None:
    """It has no total: what U2-BENCH's rows are, out of the index, strictly read, with the alarm beside the figure."""
    rows_of = [("accuracy", 0.412), ("accuracy_lenient", 0.9)]
    flat = [{"kind": "collapse", "question": "DD", "text": "flat"}]
    with closing(connect(home.runs_db)) as conn:
        for number, tasks in ((1, ("DD",)), (2, ("DD", "VRA"))):
            conn.execute(
                "INSERT INTO runs(id, kind, task, model, state, attempt, created, started, ended, position, spec)"
                " VALUES (?, 'eval', 'u2bench', 'M', 'done', 1, 1.0, 1.0, 61.0, 1.0, '{}')",
                (number,),
            )
            for task, (metric, value), category in product(tasks, rows_of, (None, "23")):
                body = {"value": value, "n": 60, "answered": 60, "alarms": flat if task == "DD" else []}
                conn.execute(
                    "INSERT INTO scores(run, metric, question, category, partial, step, body)"
                    " VALUES (?, ?, ?, ?, 0, NULL, ?)",
                    (number, metric, task, category, json.dumps(body)),
                )
        conn.commit()
        found = RunList(tuple(list_runs(conn)), tuple(scores(conn, overall_only=True, tasks=True)))
        assert not scores(conn, overall_only=True)
    for size in ((80, 24), (120, 40)):
        shown = await rows(found, size)
        assert "DD 0.412 ⚠" in shown["run:1"] and "0.900" not in shown["run:1"]
        assert "DD 0.412 ⚠ VRA 0.412" in shown["run:2"]
