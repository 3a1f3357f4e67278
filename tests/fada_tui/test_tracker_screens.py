"""The tracker's screens with real databases: keys in, note and screen looked at."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from db.connect import connect
from db.home import Home
from db.tracker import edits
from db.tracker.importer import import_note
from db.tracker.queries import list_items
from db.tracker.rows import ABSENT_TITLE
from fada_tui.app import PanelApp
from fada_tui.commands.telling import brief
from fada_tui.screens.add import AddForm
from fada_tui.screens.evaluate import EvaluateForm
from fada_tui.screens.history import HistoryScreen
from fada_tui.screens.model import ModelScreen
from fada_tui.screens.order import OrderScreen
from fada_tui.screens.prompt import PromptScreen
from fada_tui.screens.stats import StatsScreen
from fada_tui.screens.status import StatusScreen
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import body, choose, done, entries, loaded, models
from tests.fada_tui.panel import screen_text

SIZE = (120, 40)
TIER_1, TIER_2 = "General VLMs - Tier 1 (Best Performers)", "General VLMs - Tier 2 (Good Performers)"


async def test_enter_shows_everything_of_a_model_and_stays_true(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:Qwen2.5-VL-7B")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen) and "Catalogue" in screen_text(app))
        text = screen_text(app)
        for part in ("Fine-tuned", "Alibaba", "81.1% GT (600 samples)", "General VLMs - Tier 1"):
            assert part in text
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen) and app.screen.ladder.key == "Fine-tuned")
        await pilot.press("k", "enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen) and "**Tested**" in screen_text(app))
        await pilot.press("G")  # the history comes last
        await until(pilot, lambda: "→ Tested" in screen_text(app))
        assert models(panel_home)["Qwen2.5-VL-7B"].status == "Tested"
        await pilot.press("u")
        await until(pilot, lambda: "(taken back)" in screen_text(app))
        await pilot.press("escape")
        assert app.screen is app.dashboard


async def test_the_detail_view_acts_on_its_model_alone_whatever_is_marked(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, f"section:{TIER_1}")
        await pilot.press("m")
        await choose(app, pilot, "model:FetalCLIP")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen) and "Catalogue" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen))
        await pilot.press("G", "j", "enter")
        await until(pilot, lambda: models(panel_home)["FetalCLIP"].status != "TODO")
        assert entries(panel_home) == 2


async def test_marked_models_get_one_status_and_one_undo(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    before = body(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:FetalCLIP")
        await pilot.press("m", "m", "m")
        assert app.dashboard.tracker.key == "model:EchoVLM"
        assert "status ×3" in screen_text(app)
        await pilot.press("space")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen) and app.screen.ladder.key == "Available")
        assert "Status of 3 models" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: models(panel_home)["Sonomate"].status == "Available")
        found = models(panel_home)
        assert [found[name].status for name in ("FetalCLIP", "FetalMind", "EchoVLM")] == [
            "Available",
            "Available",
            "TODO",
        ]
        assert entries(panel_home) == 2
        await pilot.press("u")
        await until(pilot, lambda: body(panel_home) == before)


async def test_escape_takes_the_marks_away_after_the_filter(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("slash", *"qwen3", "enter")
        await pilot.pause()
        await pilot.press("m", "m")
        assert len(app.dashboard.tracker.marked) == 2
        await pilot.press("escape")
        assert app.dashboard.tracker.filter_text == "" and len(app.dashboard.tracker.marked) == 2
        await pilot.press("escape")
        assert not app.dashboard.tracker.marked


async def test_a_whole_phase_is_marked_and_done_at_once(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        phase = app.dashboard.tracker.tracker.items[0].phase  # type: ignore[union-attr]
        with closing(connect(panel_home.fada_db, read_only=True)) as conn:
            wanted = {item.number for item in list_items(conn) if item.phase == phase}
        assert not wanted <= done(panel_home)
        await choose(app, pilot, f"phase:{phase}")
        await pilot.press("m", "space")
        await until(pilot, lambda: wanted <= done(panel_home))
        await until(pilot, lambda: all(item.done for item in app.dashboard.selection.marked_items))
        await pilot.press("space")
        await until(pilot, lambda: not wanted & done(panel_home))


async def test_status_and_evaluation_of_what_the_checklist_speaks_of(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "item:9")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen) and "Status of Llama" in screen_text(app))
        await pilot.press("j", "enter")
        await until(pilot, lambda: models(panel_home)["Llama-3.2-Vision"].status == "Available")
        phase = app.dashboard.selection.item.phase  # type: ignore[union-attr]
        await choose(app, pilot, f"phase:{phase}")
        await pilot.press("m")
        assert "status ×4" in screen_text(app)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
        await pilot.press(*"soon", "enter")
        await until(pilot, lambda: models(panel_home)["DeepSeek-VL2"].notes == "soon")
        notes = {name: model.notes for name, model in models(panel_home).items()}
        assert [name for name, text in notes.items() if text == "soon"] == [
            "Qwen3-VL-8B",
            "Pixtral-12B",
            "Llama-3.2-Vision",
            "DeepSeek-VL2",
        ]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm))
        assert "4 models" in screen_text(app)


async def test_one_note_for_several_is_written_only_when_something_was_typed(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    before = body(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:MiniCPM-V-2.6")
        await pilot.press("m", "m", "n")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
        assert "2 different notes" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert body(panel_home) == before
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
        await pilot.press(*"again", "enter")
        await until(pilot, lambda: models(panel_home)["Qwen2-VL-2B"].notes == "again")
        assert models(panel_home)["MiniCPM-V-2.6"].notes == "again"


async def test_a_note_typed_faster_than_its_prompt_opens_is_whole(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:FetalCLIP")
        for key in "nquiet":
            app.post_message(events.Key(key, key))
        app.post_message(events.Key("enter", "\r"))
        await until(pilot, lambda: models(panel_home)["FetalCLIP"].notes)
        assert models(panel_home)["FetalCLIP"].notes == "quiet"


async def test_a_note_keeps_the_characters_that_are_shown_as_signs(panel_home: Home, until: Until) -> None:
    notes = "\u200fשלום \u202eabc\u202c"
    with closing(connect(panel_home.fada_db)) as conn:
        edits.set_note(conn, "Molmo-7B", notes)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:Molmo-7B")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
        assert "<U+200F>" in screen_text(app) and "\u200f" not in screen_text(app)
        await pilot.press("end", "!", "enter")
        await until(pilot, lambda: models(panel_home)["Molmo-7B"].notes == f"{notes}!")


async def test_the_ladder_goes_to_both_ends(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:FetalCLIP")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, StatusScreen) and app.screen.ladder.key == "TODO")
        await pilot.press("G", "g", "G", "enter")
        await until(pilot, lambda: models(panel_home)["FetalCLIP"].status == "Fine-tuned")


async def test_a_model_is_added_to_the_section_of_the_cursor(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    before = body(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("slash", *"molmo", "enter")
        await until(pilot, lambda: app.dashboard.tracker.key == "model:Molmo-7B")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddForm) and len(app.screen.fields) == 7)
        form = app.screen
        assert isinstance(form, AddForm)
        assert [field.label for field in form.fields[2:]] == ["Family", "Size", "VRAM", "Status", "Notes"]
        await pilot.press("enter")
        await until(pilot, lambda: "the model's name is not filled in" in screen_text(app))
        form.query_one("#field-name", Input).value = "New [bold] VLM"
        form.query_one("#field-column-1", Input).value = "9B"
        await pilot.press("enter")
        await until(pilot, lambda: "New [bold] VLM" in models(panel_home))
        added = models(panel_home)["New [bold] VLM"]
        assert (added.section, added.size, added.status) == (TIER_2, "9B", "TODO")
        # The filter would hide it.
        await until(pilot, lambda: app.dashboard.tracker.key == "model:New [bold] VLM")
        assert "New [bold] VLM" in screen_text(app)
        await pilot.press("u")
        await until(pilot, lambda: body(panel_home) == before)


async def test_another_section_has_other_columns_and_what_fits_stays(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:Molmo-7B")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddForm) and len(app.screen.fields) == 7)
        form = app.screen
        assert isinstance(form, AddForm)
        form.query_one("#field-column-4", Input).value = "keep me"
        form.query_one("#field-section", Input).value = "Medical VLMs"
        await until(pilot, lambda: [field.label for field in form.fields[2:]] == ["Focus", "Size", "Status", "Notes"])
        assert form.query_one("#field-column-3", Input).value == "keep me"


async def test_a_form_shows_escapes_and_means_the_text_itself(panel_home: Home, tmp_path: Path, until: Until) -> None:
    title = "Sec [red]tion\x1b[31m"
    note = tmp_path / "evil.md"
    note.write_text(f"# {title}\n\n| Model | Status |\n|---|---|\n| A | TODO |\n", encoding="utf-8")
    with closing(connect(panel_home.fada_db)) as conn:
        import_note(conn, note.read_bytes(), str(note), "user", path=note)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:A")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddForm) and len(app.screen.fields) == 3)
        assert "Sec [red]tion^[[31m" in screen_text(app)
        assert "\x1b" not in app.screen.query_one("#field-section", Input).value
        await pilot.press("B", "enter")
        await until(pilot, lambda: "B" in models(panel_home))
        assert models(panel_home)["B"].section == title


async def test_a_long_name_with_escapes_is_cut_among_the_keys(panel_home: Home, tmp_path: Path, until: Until) -> None:
    name = "Esc\x1b[31m" + "L" * 10_000
    note = tmp_path / "long.md"
    note.write_text(f"| Model | Status |\n|---|---|\n| {name} | TODO |\n", encoding="utf-8")
    with closing(connect(panel_home.fada_db)) as conn:
        import_note(conn, note.read_bytes(), str(note), "user", path=note)
    app = PanelApp(panel_home)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, f"model:{name}")
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, HistoryScreen) and "imported" in screen_text(app))
        text = screen_text(app)
        assert "\x1b" not in text and "o only Esc^[[31mLLL" in text.split("\n")[-1]
        assert text.split("\n")[-1].endswith("…")


@pytest.mark.parametrize("width", [80, 120])
async def test_no_key_of_the_detail_view_is_cut(panel_home: Home, until: Until, width: int) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(width, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen) and "In the note" in screen_text(app))
        keys = screen_text(app).split("\n")[-1].strip()
        whole = (
            "s status",
            "n note",
            "A alias",
            "p proposal",
            "e eval",
            "f fine-tune",
            "u undo",
            "y copy",
            "d download",
        )
        assert set(keys.removeprefix("esc").removeprefix(" · ").split(" · ")) <= set(whole)
        assert "u undo" in keys


def test_a_toast_names_some_and_counts_the_rest() -> None:
    told = brief([f"model {number}: {'x' * 10_000}" for number in range(100)])
    assert told[-1] == "and 98 more"
    assert max(map(len, told)) <= 180
    short = brief([f"model {number}: Status TODO → Tested" for number in range(100)])
    assert len(short) == 7 and short[-1] == "and 94 more"


async def test_order_is_chosen_and_reversed(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        pane = app.dashboard.tracker

        async def pick(column: str, key: str) -> None:
            await pilot.press("o")
            await until(pilot, lambda: isinstance(app.screen, OrderScreen))
            screen = app.screen
            assert isinstance(screen, OrderScreen)
            await until(pilot, lambda: screen.list.choose(column))
            await pilot.press(key)
            await until(pilot, lambda: app.screen is app.dashboard)

        await pick("VRAM", "enter")
        assert (pane.order.column, pane.order.flat, pane.order.reverse) == ("VRAM", False, False)
        await pick("VRAM", "enter")
        assert (pane.order.column, pane.order.flat, pane.order.reverse) == ("VRAM", False, True)
        await pick("Name", "space")
        assert (pane.order.column, pane.order.flat) == ("Name", True)
        assert (pane.rows[0].key or "").startswith("model:")
        await pick("", "enter")
        assert (pane.rows[0].key or "").startswith("section:")


async def test_history_narrows_to_the_model_and_undoes(panel_home: Home, until: Until) -> None:
    with closing(connect(panel_home.fada_db)) as conn:
        edits.set_status(conn, "Molmo-7B", "Tested")
        edits.set_item(conn, 2, True)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:Molmo-7B")
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, HistoryScreen) and "item 2 done" in screen_text(app))
        await pilot.press("o")
        await until(pilot, lambda: "item 2 done" not in screen_text(app) and "Tested" in screen_text(app))
        await pilot.press("o", "u")
        await until(pilot, lambda: "(taken back)" in screen_text(app))
        assert 2 not in done(panel_home)


async def test_stats_show_both_and_narrow_to_what_differs(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, StatsScreen) and "stated" in screen_text(app))
        assert "✗" in screen_text(app) and "✓" in screen_text(app)
        await pilot.press("w")
        await until(pilot, lambda: "✓" not in screen_text(app))
        assert "7 (proxy)" in screen_text(app)
        await pilot.press("G")
        await until(pilot, lambda: "Total" in screen_text(app))


async def test_several_are_evaluated_or_none(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:Qwen3-VL-2B")
        await pilot.press("m", "m", "e")
        await until(pilot, lambda: isinstance(app.screen, EvaluateForm) and app.screen.query("#field-data"))
        form = app.screen
        assert isinstance(form, EvaluateForm)
        assert "Evaluate 2 models" in screen_text(app) and "Qwen3-VL-4B" in screen_text(app)
        form.query_one("#field-data", Input).value = "/nonexistent/gt.jsonl"
        await pilot.press("enter")
        await until(pilot, lambda: "/nonexistent/gt.jsonl" in str(form.query_one("#problem").render()))
        assert not any(panel_home.runs.iterdir())


async def test_an_alias_is_tied_and_taken_away(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:Molmo-7B")
        for aliases in (("Molmo",), ()):
            await pilot.press("A")
            await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
            await pilot.press(*"Molmo", "enter")
            await until(pilot, lambda wanted=aliases: models(panel_home)["Molmo-7B"].aliases == wanted)
            await until(pilot, lambda wanted=aliases: app.dashboard.selection.model.aliases == wanted)  # type: ignore


async def test_what_was_done_last_takes_the_place_of_what_was_done_before(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "item:1")
        await pilot.press("space")
        await until(pilot, lambda: "item 1 done" in screen_text(app))
        await pilot.press("space")
        await until(pilot, lambda: "item 1 not done" in screen_text(app))
        assert "item 1 done" not in screen_text(app)
        app.notify("the card is hot", severity="warning")
        await pilot.press("u")
        await until(pilot, lambda: "taken back" in screen_text(app))
        assert "the card is hot" in screen_text(app)


async def test_a_model_that_the_note_dropped_is_looked_at_and_not_worked_on(panel_home: Home, until: Until) -> None:
    app = PanelApp(panel_home)
    with closing(connect(panel_home.fada_db)) as conn:
        import_note(conn, b"# N\n\n## Tier\n\n| Model | Status |\n|--|--|\n| Molmo-7B | Tested |\n", "n.md", "test")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        assert "Pixtral-12B" not in screen_text(app)
        await pilot.press("G")
        assert f"▸ {ABSENT_TITLE}" in screen_text(app) and screen_text(app).count(" 41 ") == 1
        await pilot.press("enter")
        await until(pilot, lambda: "Pixtral-12B" in screen_text(app))
        await choose(app, pilot, "model:Pixtral-12B")
        assert app.dashboard.selection.model is None
        await pilot.press("s", "n", "m", "space")
        assert app.screen is app.dashboard and not app.dashboard.tracker.marked
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen) and "What follows is" in screen_text(app))
        await pilot.press("escape", "a")
        await until(pilot, lambda: isinstance(app.screen, AddForm) and "Tier" in screen_text(app))
        assert ABSENT_TITLE not in app.screen._titles  # type: ignore[attr-defined]


async def test_a_note_that_changes_on_disk_is_told_once_with_the_key_that_syncs(
    panel_home: Home, tmp_path: Path, until: Until
) -> None:
    note = tmp_path / "n.md"
    note.write_bytes(body(panel_home))
    with closing(connect(panel_home.fada_db)) as conn:
        import_note(conn, note.read_bytes(), str(note), "test", path=note)
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, lambda: loaded(app) and app.dashboard.top.note_file is not None)
        note.write_bytes(note.read_bytes().replace(b"Latest Llama vision", b"by hand"))
        await until(pilot, lambda: "n.md changed on disk" in screen_text(app))
        assert "S shows both sides" in screen_text(app) and "note ≠ file S" in screen_text(app)
        app.clear_notifications()
        note.write_bytes(note.read_bytes().replace(b"by hand", b"by hand again"))
        await choose(app, pilot, "item:1")
        await pilot.press("space")
        await until(pilot, lambda: app.dashboard.top.note_file.state == "both")  # type: ignore[union-attr]
        assert "changed on disk" not in screen_text(app)


async def test_arrows_move_the_cursor_also_where_the_list_is_longer_than_the_pane(
    panel_home: Home, until: Until
) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        pane = app.dashboard.tracker
        assert len(pane.rows) > pane.size.height
        await pilot.press("down", "down")
        assert pane.key == "model:Sonomate"
        await pilot.press("end", "up")
        assert pane.key == "item:13"
        await pilot.press("home")
        assert pane.cursor == 0
