"""Keys and panes, on data that is handed in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from db.runs.rows import Run
from db.tracker.rows import Proposal, Section, Tracker
from db.tracker.sync import SyncState
from fada_tui.app import PanelApp
from fada_tui.listing.order import Order
from fada_tui.messages import NoteFileLoaded, ProposalsLoaded, RunsLoaded, SourceFailed, TaskFailed, TrackerLoaded
from fada_tui.screens.confirm import Choice, ConfirmScreen
from fada_tui.screens.help import HelpScreen
from fada_tui.sources.views import RunList, RunView
from fada_tui.widgets.line import Row, plain
from fada_tui.widgets.status import parting_words
from fada_tui.widgets.trackerpane import DIRECT
from fada_tui.widgets.trackerrows import TrackerRows
from tests.fada_tui import panel
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import feed, make_app, screen_text


async def started(app: PanelApp, pilot: Pilot[str]) -> None:
    feed(app, panel.RUNS, panel.RUN_VIEW, panel.GPU)
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (44, 12)])
async def test_every_pane_can_be_reached_and_zoomed(size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await started(app, pilot)
        for key, name in (("2", "queue"), ("3", "gpu"), ("4", "run"), ("1", "tracker")):
            await pilot.press(key)
            pane = app.dashboard.panes[name]
            assert app.focused is pane
            assert pane.size.height > 0
            await pilot.press("z")
            await pilot.pause()
            assert pane.outer_size == (size[0], size[1] - 2)
            await pilot.press("z")


async def test_tab_goes_round(size: tuple[int, int] = (80, 24)) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await started(app, pilot)
        seen = []
        for _ in range(4):
            await pilot.press("tab")
            seen.append(app.dashboard.pane)
        assert seen == ["queue", "gpu", "run", "tracker"]


async def test_filter_narrows_and_escape_clears() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        await pilot.press("slash", *"qwen2", "enter")
        await pilot.pause()
        keys = [row.key for row in app.dashboard.tracker.rows]
        assert "model:Qwen2-VL-7B" in keys and "item:2" in keys
        assert "model:MiniCPM-V-2.6" not in keys
        assert app.focused is app.dashboard.tracker
        await pilot.press("escape")
        await pilot.pause()
        assert "model:MiniCPM-V-2.6" in [row.key for row in app.dashboard.tracker.rows]


async def test_keys_typed_after_quit_do_nothing() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        await pilot.press("4", "q", "e")
    assert app.return_code == 0


async def test_letters_are_text_while_the_filter_is_typed() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        await pilot.press("slash", "q", "z", "1")
        assert app.dashboard.filter_input.value == "qz1"
        assert not app.dashboard.has_class("-zoom")


async def test_keys_typed_faster_than_the_filter_opens_are_text() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        for key in ("/", "q", "w", "3"):
            app.post_message(events.Key({"/": "slash"}.get(key, key), key))
        await pilot.pause()
        assert app.dashboard.filter_input.value == "qw3"
        assert app.dashboard.tracker.filter_text == "qw3"


async def test_what_is_told_is_safe_and_leaves_the_panel_in_sight(until: Until) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await started(app, pilot)
        app.post_message(TaskFailed("\x1b[31m\u202e" + "L" * 10_000, "M\x1b]0;x\x07" + "M" * 10_000, "what helps"))
        await until(pilot, lambda: "→ what helps" in screen_text(app))
        text = screen_text(app)
        assert "\x1b" not in text and "\u202e" not in text
        assert "^[[31m<U+202E>LLL" in text and "M^[]0;x^GMMM" in text
        assert "MiniCPM-V-2.6" in text and "RTX 5090" in text
        await pilot.press("escape")
        await until(pilot, lambda: "what helps" not in screen_text(app))


async def test_a_section_folds_and_the_cursor_stays() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        head = "section:General VLMs - Tier 1"
        app.dashboard.tracker.choose(head)
        await pilot.press("space")
        assert "model:MiniCPM-V-2.6" not in [row.key for row in app.dashboard.tracker.rows]
        assert app.dashboard.tracker.key == head
        await pilot.press("enter")
        assert "model:MiniCPM-V-2.6" in [row.key for row in app.dashboard.tracker.rows]


async def test_text_from_data_is_neither_markup_nor_obeyed() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        feed(app, panel.RUNS, panel.FAILED_VIEW, panel.NO_GPU)
        await pilot.pause()
        text = screen_text(app)
        assert "Mobile [bold]not markup[/bold]" in text
        assert "^[[31m" in text
        assert "\x1b" not in text


async def test_cancel_asks_first_and_no_leaves_it() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        await pilot.press("2", "c")
        assert isinstance(app.screen, ConfirmScreen)
        assert "#12" in screen_text(app)
        await pilot.press("n")
        assert app.screen is app.dashboard


async def test_only_y_cancels() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        answers: list[str | None] = []
        question = ConfirmScreen("Cancel #12?", "It has not begun.", Choice("y", "cancel it"))
        app.push_screen(question, answers.append)
        await pilot.press("enter", "space")
        assert app.screen is question
        assert answers == []
        await pilot.press("y")
        assert answers == ["y"]


async def test_a_section_counts_what_the_header_counts() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        text = screen_text(app)
        assert "6 models · 4 tested" in text
        head = next(row for row in app.dashboard.tracker.rows if row.key == "section:General VLMs - Tier 1")
        assert plain([head]).endswith(" 4/5")


TUNED = replace(panel.run(15, "done", name="Qwen2.5-VL-7B"), from_run=12)
TUNED_RUNS = RunList(
    (*panel.RUNS.runs, TUNED),
    (replace(panel.score(15, 0.91, "cosine"), model="Qwen2.5-VL-7B", from_run=12),),
)


@pytest.mark.parametrize(
    ("size", "score"), [((80, 24), "0.910 ←"), ((120, 40), "0.910  ←#12"), ((200, 60), "0.910   gt #15←#12")]
)
async def test_a_tuned_model_never_looks_like_its_base(size: tuple[int, int], score: str) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        feed(app, TUNED_RUNS, RunView(TUNED), panel.NO_GPU)
        await pilot.pause()
        rows = {row.key: plain([row]) for row in (*app.dashboard.queue.rows, *app.dashboard.tracker.rows)}
        assert "… ← #12 " in rows["run:15"] or "Qwen2.5-VL-7B ← #12 " in rows["run:15"]
        assert "←" not in rows["run:11"]
        assert score in rows["model:Qwen2.5-VL-7B"]
        assert "←" not in rows["model:MiniCPM-V-2.6"]
        assert "← #12 ─" in screen_text(app)
        await pilot.press("2", "i")
        assert app.screen is not app.dashboard
        await pilot.pause()
        assert "Samples of #15 eval gt Qwen2.5-VL-7B ← #12" in screen_text(app)
        await pilot.press("escape", "l")
        await pilot.pause()
        assert "Log of #15 eval gt Qwen2.5-VL-7B ← #12" in screen_text(app)
        assert "Nothing was logged." in screen_text(app)


async def test_the_cancel_question_names_the_tuned_model() -> None:
    live = replace(panel.run(16, "running"), from_run=12)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        feed(app, RunList((live,)), RunView(live), panel.NO_GPU)
        await pilot.pause()
        await pilot.press("2", "c")
        await pilot.pause()
        assert "Cancel #16 eval Qwen3-VL-8B ← #12?" in screen_text(app)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
async def test_quit_and_help_always_fit_in_the_footer(width: int) -> None:
    app = make_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await started(app, pilot)
        for pane in "1234":
            await pilot.press(pane)
            keys = screen_text(app).split("\n")[-1]
            assert keys.rstrip().endswith("? help  q quit")
            assert ("^p commands" in keys) == (width >= 60)


async def test_commands_do_nothing_where_they_have_nothing_to_act_on() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        feed(app, RunList(), None, panel.NO_GPU)
        await pilot.pause()
        await pilot.press("2", "c", "r", "R", "h", "l", "i", "s", "space")
        assert app.screen is app.dashboard


async def test_copy_takes_the_chosen_row() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        app.dashboard.tracker.choose("model:Qwen2.5-VL-7B")
        await pilot.press("y")
        assert app.clipboard.split() == ["Qwen2.5-VL-7B", "7B", "16G", "tuned", "0.811", "gt", "note"]


async def test_help_holds_every_command_and_palette_opens() -> None:
    app = make_app()
    async with app.run_test(size=(120, 100)) as pilot:
        await started(app, pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.pause()
        assert "Demo: evaluate, fine-tune and evaluate" in screen_text(app)
        await pilot.press("escape", "ctrl+p")
        await pilot.pause(0.2)
        assert "CommandPalette" in type(app.screen).__name__


async def test_picking_a_run_stays_when_another_starts() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        await pilot.press("2")
        app.dashboard.queue.choose("run:9")
        await pilot.press("k")
        assert app.dashboard.selection.run is not None
        assert app.dashboard.selection.run.id == 11
        app.post_message(RunsLoaded(replace(panel.RUNS, runs=(*panel.RUNS.runs, panel.run(15)))))
        await pilot.pause()
        assert app.dashboard.selection.run.id == 11


async def test_trouble_with_the_data_is_said_and_goes_away() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        app.post_message(SourceFailed("the data cannot be read: disk I/O error"))
        await pilot.pause()
        assert "disk I/O error" in screen_text(app)
        app.post_message(SourceFailed(None))
        await pilot.pause()
        assert "6 models" in screen_text(app)


async def test_quit_says_that_jobs_go_on() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        await pilot.press("q")
    assert app.return_value == "1 job goes on, 2 wait in the queue; `fada jobs` shows them"


@pytest.mark.parametrize(
    ("active", "waiting", "said"),
    [
        ((), 0, None),
        ((panel.RUNNING,), 0, "1 job goes on; `fada jobs` shows it"),
        ((panel.RUNNING, panel.RUNNING), 0, "2 jobs go on; `fada jobs` shows them"),
        ((), 1, "1 waits in the queue; `fada jobs` shows it"),
    ],
)
def test_parting_words(active: tuple[Run, ...], waiting: int, said: str | None) -> None:
    assert parting_words(active, waiting) == said


async def test_unchanged_data_draws_nothing() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        drawn: list[str] = []
        for name, pane in app.dashboard.panes.items():
            original = pane.render_line
            pane.render_line = lambda y, name=name, original=original: (drawn.append(name), original(y))[1]  # type: ignore[method-assign]
        await started(app, pilot)
        assert drawn == []


async def test_only_the_changed_row_is_drawn() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        queue = app.dashboard.queue
        lines: list[int] = []
        original = queue.render_line
        queue.render_line = lambda y: (lines.append(y), original(y))[1]  # type: ignore[method-assign]
        moved = tuple(replace(run, done=900) if run.id == 12 else run for run in panel.RUNS.runs)
        app.post_message(RunsLoaded(replace(panel.RUNS, runs=moved)))
        await pilot.pause()
        assert set(lines) == {0}


async def test_letters_may_be_left_out_and_the_cursor_goes_to_the_best_match() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        pane = app.dashboard.tracker
        await pilot.press("slash", *"qwn3")
        await pilot.pause()
        assert [row.key for row in pane.rows] == ["section:General VLMs - Tier 1", "model:Qwen3-VL-8B"]
        assert pane.key == "model:Qwen3-VL-8B"
        found = "".join(text for text, token in pane.rows[1].line if token == "key")
        assert found == "Qwn3"
        await pilot.press(*["backspace"] * 4, *"smol")
        await pilot.pause()
        assert pane.key == "model:SmolVLM-256M"
        await pilot.press("escape")
        await pilot.pause()
        assert pane.key == "model:SmolVLM-256M"


async def test_an_order_is_shown_and_said() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        pane = app.dashboard.tracker
        pane.order = Order("Score", reverse=True, flat=True)
        await pilot.pause()
        assert [row.key for row in pane.rows][:3] == [
            "model:Qwen2.5-VL-7B",
            "model:MiniCPM-V-2.6",
            "model:Qwen2-VL-7B",
        ]
        assert "by Score ↓" in screen_text(app)


async def test_marks_are_shown_counted_and_dropped_with_their_rows() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        pane = app.dashboard.tracker
        pane.toggle_mark("model:SmolVLM-256M")
        pane.toggle_mark("phase:Phase 1: Ground Truth Eval")
        await pilot.pause()
        assert [model.name for model in pane.marked_models] == ["SmolVLM-256M"]
        assert [item.number for item in pane.marked_items] == [1, 2]
        text = screen_text(app)
        assert "3 marked" in text and "• SmolVLM-256M" in text and "• [x]  1" in text
        app.post_message(TrackerLoaded(replace(panel.TRACKER, sections=panel.TRACKER.sections[:1])))
        await pilot.pause()
        assert pane.marked == {"item:1", "item:2"}
        pane.toggle_mark("phase:Phase 1: Ground Truth Eval")
        assert pane.marked == frozenset()


async def test_marking_a_head_takes_all_until_all_are_marked() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        pane = app.dashboard.tracker
        head = "section:General VLMs - Tier 1"
        pane.toggle_mark("model:Qwen2-VL-7B")
        pane.toggle_mark(head)
        assert len(pane.marked_models) == 5
        pane.toggle_mark(head)
        assert pane.marked_models == ()


async def test_all_fold_and_unfold_and_the_cursor_stands_on_the_head() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        pane = app.dashboard.tracker
        pane.choose("item:2")
        pane.fold_all()
        await pilot.pause()
        assert pane.key == "phase:Phase 1: Ground Truth Eval"
        assert len(pane.rows) == 4
        pane.fold_all()
        await pilot.pause()
        assert len(pane.rows) == 13


async def test_a_filter_looks_behind_folds_and_what_it_found_is_folded_only_while_it_stands() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        pane = app.dashboard.tracker
        pane.fold_all()
        pane.filter_text = "qwn"
        await pilot.pause()
        found = [row.key for row in pane.rows]
        assert "model:Qwen3-VL-8B" in found
        head = found[0]
        pane.toggle(str(head))
        assert [row.key for row in pane.rows if (row.key or "").startswith("model:")] == []
        pane.fold_all()
        pane.fold_all()
        assert [row.key for row in pane.rows] == found
        pane.toggle(str(head))
        pane.filter_text = "vl"
        await pilot.pause()
        assert "model:Qwen3-VL-8B" in [row.key for row in pane.rows]
        pane.filter_text = ""
        await pilot.pause()
        assert all((row.key or "").startswith(("section:", "phase:")) for row in pane.rows)


async def test_a_folded_head_says_how_many_are_marked_under_it() -> None:
    first, second = panel.TRACKER.sections
    mobile = replace(second, models=tuple(replace(model, section=second.title) for model in second.models))
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(app, pilot)
        app.post_message(TrackerLoaded(replace(panel.TRACKER, sections=(first, mobile))))
        await pilot.pause()
        pane = app.dashboard.tracker
        pane.marked = frozenset({"item:1", "item:2", "model:SmolVLM-256M"})
        assert not any("•" in plain([row]) for row in pane.rows if (row.key or "").startswith(("section:", "phase:")))
        pane.fold_all()
        heads = {row.key: plain([row]) for row in pane.rows}
        assert "2 •  1/2" in heads["phase:Phase 1: Ground Truth Eval"]
        assert "1 •  0/1" in heads[f"section:{mobile.title}"]
        assert "•" not in heads[f"section:{first.title}"]


PROPOSAL = Proposal("Qwen3-VL-8B", "Local tested", "Tested", 12, "gt", 1171.0, "81.1% GT (600 samples)", ("collapse",))


@pytest.mark.parametrize(
    ("size", "said"),
    [((80, 24), "→ tested ⚠#12"), ((160, 40), "local         →tested ⚠#…"), ((240, 60), "→ Tested ⚠#12  81.1% GT")],
)
async def test_a_proposal_is_shown_in_its_row_its_section_and_at_the_top(size: tuple[int, int], said: str) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        feed(app, RunList(), None, panel.NO_GPU)
        app.post_message(ProposalsLoaded({"Qwen3-VL-8B": PROPOSAL}))
        app.post_message(NoteFileLoaded(SyncState(Path("note.md"), "file", "note.md changed on disk")))
        await pilot.pause()
        rows = {row.key: plain([row]) for row in app.dashboard.tracker.rows}
        assert said in rows["model:Qwen3-VL-8B"]
        assert "→" not in rows["model:MiniCPM-V-2.6"]
        assert "1 " in rows["section:General VLMs - Tier 1"] and "4/5" in rows["section:General VLMs - Tier 1"]
        top = screen_text(app).split("\n")[0]
        assert "1 proposal p" in top and "note ≠ file S" in top
        app.dashboard.tracker.choose("model:Qwen3-VL-8B")
        assert app.dashboard.selection.proposal is PROPOSAL


def many(number: int) -> Tracker:
    models = tuple(panel.model(f"Model-{at}", size=f"{at % 7}B") for at in range(number))
    return Tracker("many", (Section("All", 0, models),), ())


async def test_very_many_models_are_arranged_apart_and_the_newest_wish_is_kept(until: Until) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(TrackerLoaded(many(DIRECT + 1)))
        pane = app.dashboard.tracker
        await until(pilot, lambda: len(pane.rows) == DIRECT + 2)
        for typed in ("m", "mo", "model-77"):
            pane.filter_text = typed
        await until(pilot, lambda: pane.key == "model:Model-77")
        assert all((row.key or "").count("7") >= 2 for row in list(pane.rows)[1:])


async def test_of_very_many_rows_only_those_in_sight_are_made(until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = TrackerRows.row

    def row(self: TrackerRows, index: int) -> Row:
        made.append(index)
        return original(self, index)

    monkeypatch.setattr(TrackerRows, "row", row)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(TrackerLoaded(many(20_000)))
        pane = app.dashboard.tracker
        await until(pilot, lambda: len(pane.rows) == 20_001)
        await pilot.press("G", "k", "pageup", "g", "j", "m")
        await pilot.pause()
        assert len(set(made)) < 8 * pane.size.height
        assert pane.key == "model:Model-1"
        text = screen_text(app)
        assert "20,000 models · 0 tested" in text and "0/20,000" in text
        await pilot.press("g", "m")
        await until(pilot, lambda: "status ×20,000" in screen_text(app))
