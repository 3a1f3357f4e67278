"""Several rows and boxes as one change; what the history keeps of each."""

from __future__ import annotations

import pytest

from db.connect import counters, immediate
from db.tracker import edits, queries
from db.tracker.edits import CellChange
from db.tracker.errors import EditError
from db.tracker.export import export_note
from db.tracker.history import Entry, record, settled, together
from db.tracker.importer import default_note, import_note


def _import(conn, text: str) -> None:
    import_note(conn, text.encode(), "note.md", "test")


def _model(conn, name: str):
    return queries.find_models(conn, name)[0]


def test_several_statuses_are_one_change_and_one_undo(tracker_db):
    names = ["FetalCLIP", "Molmo-7B", "qwen3 vl 8b", "GPT-4o"]
    assert edits.set_statuses(tracker_db, names, "local tested") == [
        "FetalCLIP: Status TODO → Local tested",
        "Molmo-7B: Status Proxy tested → Local tested",
        "GPT-4o: Status TODO → Local tested",
    ]
    assert {_model(tracker_db, name).status for name in names} == {"Local tested"}
    assert edits.set_statuses(tracker_db, names, "Local tested") == []
    edits.undo(tracker_db)
    assert export_note(tracker_db) == default_note()
    assert _model(tracker_db, "Molmo-7B").status == "Proxy tested"
    edits.redo(tracker_db)
    assert _model(tracker_db, "GPT-4o").status == "Local tested"


def test_one_bad_name_among_several_changes_nothing(tracker_db):
    before = list(tracker_db.iterdump())
    with pytest.raises(EditError, match="nobody"):
        edits.set_statuses(tracker_db, ["Molmo-7B", "nobody"], "Tested")
    with pytest.raises(EditError, match="99"):
        edits.set_items(tracker_db, [1, 99], True)
    assert list(tracker_db.iterdump()) == before


def test_several_items_are_one_change(tracker_db):
    edits.set_item(tracker_db, 2, True)
    assert edits.set_items(tracker_db, [1, 2, 5, 5], True) == [
        "item 1 done: MiniCPM-V-2.6 (1,494 test images)",
        "item 5 done: FetalCLIP",
    ]
    assert [item.number for item in queries.list_items(tracker_db) if item.done] == [1, 2, 5]
    edits.undo(tracker_db)
    assert [item.number for item in queries.list_items(tracker_db) if item.done] == [2]


def test_status_and_notes_of_one_row_are_one_change_with_an_introduction(tracker_db):
    changes = [
        CellChange("Qwen3-VL-8B", "notes", "Unsloth works; 74.0% GT (600 samples)"),
        CellChange("Qwen3-VL-8B", "status", "Tested"),
    ]
    edits.edit_cells(tracker_db, changes, "user", "from run #12", what="accept")
    row = "| **Qwen3-VL-8B** | Alibaba | 8B | ~20GB | Tested | Unsloth works; 74.0% GT (600 samples) |\n"
    assert row in export_note(tracker_db).decode()
    [score] = _model(tracker_db, "Qwen3-VL-8B").scores
    assert (score.kind, score.value, score.n) == ("gt", 0.74, 600)
    assert queries.history(tracker_db, 1)[0].text == (
        "from run #12: Qwen3-VL-8B: Notes Unsloth works → Unsloth works; 74.0% GT (600 samples);"
        " Qwen3-VL-8B: Status Local tested → Tested"
    )
    edits.undo(tracker_db)
    assert _model(tracker_db, "Qwen3-VL-8B").scores == ()
    assert export_note(tracker_db) == default_note()


def test_notes_of_models_with_and_without_that_column(tracker_db):
    changed = edits.set_notes(tracker_db, ["FetalCLIP", "EchoVLM", "SmolVLM-256M", "GPT-4V"], "ask | them")
    assert changed[0] == "FetalCLIP: Notes (empty) → ask | them (a new column)"
    assert changed[3] == "GPT-4V: Notes Expensive → ask | them"
    names = ["FetalCLIP", "FetalMind", "EchoVLM", "SmolVLM-256M", "SmolVLM-500M", "GPT-4V"]
    assert [_model(tracker_db, name).notes for name in names] == ["ask | them", "", "ask | them"] * 2
    edits.undo(tracker_db)
    assert export_note(tracker_db) == default_note()


def test_both_columns_can_be_new_and_short_rows_are_filled(empty_db):
    _import(empty_db, "## S\n| Model | Size | VRAM |\n|---|---|---|\n| A | 1B | x |\n| B |\nC | 2B\n")
    edits.edit_cells(empty_db, [CellChange("B", "notes", "n"), CellChange("B", "status", "Tested")], "test")
    assert export_note(empty_db).decode().split("\n")[1:6] == [
        "| Model | Size | VRAM | Notes | Status |",
        "|---|---|---|-------|--------|",
        "| A | 1B | x |       |        |",
        "| B | | | n | Tested |",
        "C | 2B | | |        |",
    ]
    assert (_model(empty_db, "B").status, _model(empty_db, "B").notes, _model(empty_db, "C").size) == (
        "Tested",
        "n",
        "2B",
    )


def test_a_long_list_of_changes_is_named_in_short(tracker_db):
    names = [model.name for model in queries.load_tracker(tracker_db).models]
    changed = edits.set_statuses(tracker_db, names, "Perf tested")
    assert len(changed) == 41
    assert together(changed[:2]) == ["FetalCLIP and FetalMind: Status TODO → Perf tested"]
    assert together(["a: x", "no colon", "a: y", "b: x"]) == ["a and b: x", "no colon", "a: y"]
    assert queries.history(tracker_db, 1)[0].text.startswith(
        "FetalCLIP, FetalMind, Sonomate, EchoVLM, LLaVA-Ultra and 18 more: Status TODO → Perf tested; MiniCPM-V-2.6, "
    )


def test_only_what_the_patch_touched_is_read_and_counted_as_changed(tracker_db):
    before = counters(tracker_db)
    edits.set_status(tracker_db, "Molmo-7B", "Tested")
    edits.set_item(tracker_db, 3, True)
    edits.set_note(tracker_db, "Molmo-7B", "75% proxy, 12% of what")
    edits.undo(tracker_db)
    edits.redo(tracker_db)
    after = counters(tracker_db)
    assert after["tracker"] == before["tracker"] + 5
    assert after["tracker-structure"] == before["tracker-structure"]
    changed = tracker_db.execute("SELECT name, revision FROM models WHERE revision > ?", (before["tracker"],))
    assert [tuple(row) for row in changed] == [("Molmo-7B", after["tracker"])]
    warnings = [row["text"] for row in tracker_db.execute("SELECT text FROM import_warnings")]
    assert any("12%" in text for text in warnings)
    edits.undo(tracker_db)
    assert not any("12%" in row["text"] for row in tracker_db.execute("SELECT text FROM import_warnings"))


@pytest.mark.parametrize(
    "note",
    [
        "## S\n> | Model | Status |\n> |---|---|\n> | A | TODO |\n\n- x\n\n      1. [ ] A\n",
        "## S\n- see\n\n  | Model | Status |\n  |---|---|\n  | A | TODO |\n\n1.\n   [ ] A\n",
        "## S\n| Model | Status |\n|---|---|\n| A | TODO |\n| A | Tested |\n\n- a\n  - b\n    - [ ] A\n",
        "## S\n| Model | Status |\n|---|---|\n| A |\n\n1. [ ] A\n   goes on\n",
    ],
)
def test_rows_and_boxes_that_need_their_surroundings_can_be_edited_too(empty_db, note):
    _import(empty_db, note)
    edits.set_status(empty_db, "A", "Proxy tested")
    assert _model(empty_db, "A").status == "Proxy tested"
    for item in queries.list_items(empty_db):
        edits.set_item(empty_db, item.number, True)
        assert queries.list_items(empty_db)[0].done
    while edits.undo(empty_db):
        pass
    assert export_note(empty_db) == note.encode()
    assert _model(empty_db, "A").status == "TODO"


def _settle(conn, name: str) -> None:
    with immediate(conn):
        record(conn, Entry("dismiss", "test", f"{name}: dismissed", {}, (name,), "dismiss"))


def test_what_settles_a_status(tracker_db):
    assert settled(tracker_db) == {}
    edits.set_note(tracker_db, "Molmo-7B", "no matter")
    edits.set_item(tracker_db, 5, True)
    assert settled(tracker_db) == {}
    edits.set_statuses(tracker_db, ["Molmo-7B", "FetalCLIP"], "Available")
    first = settled(tracker_db)
    assert sorted(first) == ["FetalCLIP", "Molmo-7B"]
    _settle(tracker_db, "EchoVLM")
    _settle(tracker_db, "FetalCLIP")
    later = settled(tracker_db)
    assert sorted(later) == ["EchoVLM", "FetalCLIP", "Molmo-7B"]
    assert later["FetalCLIP"] > first["FetalCLIP"]
    counter = counters(tracker_db)["tracker"]
    assert edits.undo(tracker_db) == ["taken back: FetalCLIP: dismissed"]
    assert counters(tracker_db)["tracker"] == counter + 1
    assert settled(tracker_db)["FetalCLIP"] == first["FetalCLIP"]
    edits.redo(tracker_db)
    assert settled(tracker_db) == later


def test_the_history_of_one_model(tracker_db):
    edits.set_statuses(tracker_db, ["Molmo-7B", "FetalCLIP"], "Available")
    edits.set_items(tracker_db, [5, 6], True)
    edits.add_alias(tracker_db, "EchoVLM", "echo")
    assert [change.models for change in queries.history(tracker_db, 3)] == [
        ("EchoVLM",),
        ("FetalCLIP", "EchoVLM"),
        ("Molmo-7B", "FetalCLIP"),
    ]
    assert len(queries.history(tracker_db, 50, "EchoVLM")) == 2


TWO = "## S\n| Model | Status |\n|---|---|\n| Old-Name-7B | Tested |\n| B | TODO |\n"


def test_the_name_of_an_absent_model_ties_it_and_undo_brings_it_back(empty_db):
    _import(empty_db, TWO)
    _import(empty_db, TWO.replace("Old-Name-7B", "New") + "\n## P\n1. [ ] Old-Name-7B\n")
    empty_db.execute("INSERT INTO aliases VALUES ('oldie', 'Old-Name-7B', 'test', 1.0)")
    old = _model(empty_db, "Old-Name-7B")
    assert old.absent
    assert old.aliases == ("oldie",)
    assert queries.list_items(empty_db)[0].models == ("Old-Name-7B",)
    assert edits.add_alias(empty_db, "New", "old name 7b") == [
        "New: also called Old-Name-7B, which is no longer in the note"
    ]
    assert _model(empty_db, "Old-Name-7B").name == "New"
    assert queries.list_items(empty_db)[0].models == ("New",)
    assert _model(empty_db, "New").aliases == ("oldie", "Old-Name-7B")
    edits.undo(empty_db)
    assert _model(empty_db, "Old-Name-7B") == old
    edits.redo(empty_db)
    assert _model(empty_db, "Old-Name-7B").name == "New"
    assert edits.remove_alias(empty_db, "old-name-7b") == ["New: no longer called Old-Name-7B"]
    assert queries.find_models(empty_db, "Old-Name-7B") == []
    edits.undo(empty_db)
    assert _model(empty_db, "Old-Name-7B").name == "New"
    with pytest.raises(EditError, match="no alias 'x'") as caught:
        edits.remove_alias(empty_db, "x")
    assert caught.value.hint == "the aliases are: Old-Name-7B, oldie"


def test_what_was_decided_under_an_old_name_counts_for_the_new_one(empty_db):
    _import(empty_db, TWO)
    edits.set_status(empty_db, "Old-Name-7B", "Available")
    _import(empty_db, TWO.replace("Old-Name-7B", "New"))
    edits.add_alias(empty_db, "New", "Old-Name-7B")
    assert list(settled(empty_db)) == ["New"]
