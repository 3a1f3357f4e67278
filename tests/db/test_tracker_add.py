"""A model added by hand stands in its section's table as if the author had written it."""

from __future__ import annotations

import pytest

from db.tracker import edits, queries
from db.tracker.errors import EditError
from db.tracker.export import export_note
from db.tracker.importer import default_note, import_note


def _import(conn, text: str) -> None:
    import_note(conn, text.encode(), "note.md", "test")


def _added(conn, text: str, name: str = "New", **columns: str) -> str:
    """The line that adding a model to section S wrote; taking it back gives the note again."""
    _import(conn, text)
    edits.add_model(conn, name, "S", columns)
    assert queries.find_models(conn, name)[0].status in (columns.get("Status"), "TODO")
    after = export_note(conn)
    edits.undo(conn)
    assert export_note(conn) == text.encode()
    assert queries.find_models(conn, name) == []
    edits.redo(conn)
    assert export_note(conn) == after
    [line] = set(after.decode().splitlines()) - set(text.splitlines())
    return line


def test_the_real_note_gets_a_row_in_its_own_style(tracker_db):
    columns = {"size": "13B", "VRAM": "~28GB", "Comment": "said | so"}
    changed = edits.add_model(tracker_db, "Aurora-13B", "tier 1", columns)
    assert changed == ["Aurora-13B: added to General VLMs - Tier 1 (Best Performers)"]
    row = "| **Aurora-13B** |  | 13B | ~28GB | TODO | said \\| so |\n\n---\n"
    assert row in export_note(tracker_db).decode()
    model = queries.find_models(tracker_db, "aurora 13b")[0]
    assert (model.size_b, model.vram_gb, model.notes, model.family) == (13.0, 28.0, "said | so", None)
    edits.add_model(tracker_db, "Plain-1B", "General VLMs - Tier 2 (Good Performers)", {"Status": "proxy tested"})
    assert "| Plain-1B |  |  |  | Proxy tested |  |\n" in export_note(tracker_db).decode()
    edits.set_status(tracker_db, "Plain-1B", "Tested")
    for _ in range(3):
        edits.undo(tracker_db)
    assert export_note(tracker_db) == default_note()
    assert len(queries.load_tracker(tracker_db).models) == 42


ALIGNED = "## S\n\n| Model | Status       |    Notes |\n|:------|--------------|---------:|\n"
STYLES = [
    (ALIGNED + "| A     | TODO         |       no |\n| B     | Proxy tested | 70% long |\n\ntext\n",
     "| New   | TODO         |      yes |"),
    ("## S\n|Model|Status|Notes|\n|---|---|---|\n|A|TODO|x|\n", "|New|TODO|yes|"),
    ("## S\nModel | Status | Notes\n--- | --- | ---\nA | TODO | x\n", "New | TODO | yes"),
    ("## S\n  | Model | Status | Notes |\n  |---|---|---|\n  | A | TODO | x |  \n", "  | New | TODO | yes |"),
    ("## S\n> | Model | Status | Notes |\n> |---|---|---|\n> | A | TODO | x |\n\nmore\n", "> | New | TODO | yes |"),
    ("## S\n- | Model | Status | Notes |\n  |---|---|---|\n  | A | TODO | x |\n\nmore\n", "  | New | TODO | yes |"),
    ("## S\n| Model | Status | Notes |\n|---|---|---|\n| **A** | TODO | x |\n| *B* | TODO |\n| **C** |\n",
     "| **New** | TODO | yes |"),
    ("## R\n| Model |\n|---|\n| A |\n\n## S\n| Model | Status | Notes |\n|---|---|---|\n", "| New | TODO | yes |"),
    ("## S\n| Notes | Model | Status |\n|---|---|---|\n| x | A | TODO |\n# T\n", "| yes | New | TODO |"),
]  # fmt: skip


@pytest.mark.parametrize(("note", "row"), STYLES)
def test_padding_pipes_margin_and_bold_are_as_in_the_rows_above(empty_db, note, row):
    assert _added(empty_db, note, Notes="yes") == row


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_a_missing_last_newline_stay(empty_db, end, last):
    text = "# S\n\n| Model | Status |\n|---|---|\n| A | TODO |".replace("\n", end) + (end if last else "")
    _import(empty_db, text)
    edits.add_model(empty_db, "B", "S", {})
    wanted = text.removesuffix(end) + f"{end}| B | TODO |" + (end if last else "")
    assert export_note(empty_db) == wanted.encode()


@pytest.mark.parametrize("name", ["a*b*c", "_x_", "`code`", "[link](x)", "a|b", "\\", "a\\|b", "<b>", "&amp;", "**", "# 1", "~~s~~"])  # fmt: skip
@pytest.mark.parametrize("bold", ["", "**"])
def test_a_name_with_marks_reads_back_as_it_was_given(empty_db, make_db, name, bold):
    _import(empty_db, f"## S\n| Model | Status |\n|---|---|\n| {bold}A{bold} | TODO |\n")
    edits.add_model(empty_db, name, "S", {})
    other = make_db()
    import_note(other, export_note(empty_db), "again.md", "test")
    assert [model.name for model in queries.load_tracker(other).models] == ["A", name]
    other.close()


def test_the_columns_that_a_form_asks_for(tracker_db):
    assert edits.table_columns(tracker_db, "api models") == ["Provider", "Status", "Notes"]
    with pytest.raises(EditError, match="no section 'x'") as caught:
        edits.table_columns(tracker_db, "x")
    assert "Medical VLMs" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "section", "columns", "word", "hint"),
    [
        ("N", "General", {}, "may mean General VLMs - Tier 1", "more of the title"),
        ("N", "nowhere", {}, "no section", "Medical VLMs"),
        ("N", "Medical VLMs", {"VRAM": "1GB"}, "no column 'VRAM'", "Focus, Size, Status, Notes"),
        ("N", "Medical VLMs", {"Model": "M"}, "no column 'Model'", "Focus"),
        ("N", "Medical VLMs", {"Status": "soon"}, "no status", "TODO, Available"),
        ("N", "Medical VLMs", {"Notes": "two\nlines"}, "one line", "line breaks"),
        (" ", "Medical VLMs", {}, "name", "fada add"),
        ("molmo 7b", "Medical VLMs", {}, "Molmo-7B is in the note already", "another name"),
        ("the clip", "Medical VLMs", {}, "The Clip is another name of FetalCLIP", "another name"),
    ],
)
def test_what_cannot_be_added_says_what_to_do_and_changes_nothing(tracker_db, name, section, columns, word, hint):
    edits.add_alias(tracker_db, "FetalCLIP", "The Clip")
    before = list(tracker_db.iterdump())
    with pytest.raises(EditError) as caught:
        edits.add_model(tracker_db, name, section, columns)
    assert word in caught.value.message
    assert hint in (caught.value.hint or "")
    assert list(tracker_db.iterdump()) == before


def test_a_model_that_was_in_the_note_before_comes_back_by_its_name(empty_db):
    note = "## S\n| Model | Status |\n|---|---|\n| A | Tested |\n"
    _import(empty_db, note + "| Old-1 | Tested |\n")
    _import(empty_db, note)
    with pytest.raises(EditError, match="was in the note before"):
        edits.add_model(empty_db, "old 1", "S", {})
    edits.add_model(empty_db, "Old-1", "S", {})
    assert not queries.find_models(empty_db, "Old-1")[0].absent
    edits.undo(empty_db)
    assert queries.find_models(empty_db, "Old-1")[0].absent


def test_a_row_that_would_not_be_one_is_refused(empty_db):
    note = "## S\nModel | Status\n--- | ---\nA | TODO\n"
    _import(empty_db, note)
    with pytest.raises(EditError, match="break the table"):
        edits.add_model(empty_db, "- x", "S", {})
    assert export_note(empty_db) == note.encode()
