"""What people and Obsidian write into such notes: links, footnotes, front matter, odd tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlite_utils

from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.tracker import edits, queries
from db.tracker.errors import NoteError
from db.tracker.export import as_imported, export_note
from db.tracker.importer import import_note
from db.tracker.markdown.blocks import front_matter, plain
from db.tracker.markdown.source import Source
from db.tracker.schema import first, second

TABLE = "| Model | Status |\n|---|---|\n"


def _import(conn: sqlite3.Connection, text: str):
    return import_note(conn, text.encode(), "n.md", "test")


def _names(conn: sqlite3.Connection) -> list[str]:
    return [model.name for model in queries.load_tracker(conn).models]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[[Qwen3-VL-8B]]", "Qwen3-VL-8B"),
        ("**[[models/qwen|Qwen 3]]** x", "Qwen 3 x"),
        ("A[^2] and [B](http://b)[^note]", "A and B"),
        ("`[[code]]`", "[[code]]"),
        (r"\[\[escaped\]\]", "[[escaped]]"),
        ("[[]] [[a] [^ ]", "[[]] [[a] [^ ]"),
    ],
)
def test_the_text_that_obsidian_shows(text, shown):
    assert plain(text) == shown


def test_models_whose_names_are_links_are_found_edited_and_taken_back(empty_db):
    note = f"## S\n\n{TABLE}| [[a/Qwen\\|Qwen-8B]] | TODO |\n| Other-1B[^1] | TODO |\n\n## P\n1. [ ] [[Qwen-8B]] eval\n"
    _import(empty_db, note)
    assert _names(empty_db) == ["Qwen-8B", "Other-1B"]
    assert queries.list_items(empty_db)[0].models == ("Qwen-8B",)
    edits.set_status(empty_db, "Qwen-8B", "Tested")
    edits.set_status(empty_db, "Other-1B", "Tested")
    assert export_note(empty_db).decode() == note.replace(" TODO ", " Tested ")


def test_the_end_of_the_front_matter_was_forgotten(empty_db):
    _import(empty_db, f"---\nproject: p\n\n## S\n\n{TABLE}| A-1B | TODO |\n\n---\n\n## T\n\n{TABLE}| B-1B | TODO |\n")
    assert _names(empty_db) == ["A-1B", "B-1B"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("---\na: |\n  x\nlist:\n- |\n  y\n---\n", 7),
        ("---\n\na: 1\n...\nx", 4),
        ("---\n---\n", 2),
        ("---\n\n## Phase 1: now\n1. [ ] A\n\n---\n", 0),
        ("---\na: 1\nModel | Size\n--- | ---\nA | 1B\n---\n", 0),
        ("---\na: 1\n", 0),
        ("---", 0),
    ],
)
def test_what_is_front_matter(text, lines):
    assert front_matter(Source(text, False))[1] == lines


def test_a_table_of_models_that_is_not_taken_is_listed(empty_db):
    result = _import(
        empty_db, f"## S\n\n{TABLE}| A-1B | TODO |\n\n## Literature\n\n| Model | Paper |\n|---|---|\n| B | p |\n"
    )
    assert _names(empty_db) == ["A-1B"]
    assert [(warning.line, warning.text) for warning in result.warnings] == [
        (9, "the table under 'Literature' has a Model column and no Status: not taken as models")
    ]


def test_tables_without_one_model_are_refused_at_their_line(empty_db):
    with pytest.raises(NoteError, match="names a model") as caught:
        _import(empty_db, f"## S\n\n{TABLE}| | TODO |\n")
    assert caught.value.where == "n.md:3"


def test_a_model_that_comes_back_has_its_own_name_again(empty_db):
    old, new = (f"## S\n\n{TABLE}| {name} | TODO |\n\n## P\n1. [ ] A-1B\n" for name in ("A-1B", "B-1B"))
    _import(empty_db, old)
    _import(empty_db, new)
    edits.add_alias(empty_db, "B-1B", "A-1B")
    assert queries.list_items(empty_db)[0].models == ("B-1B",)
    result = _import(empty_db, old)
    assert queries.list_items(empty_db)[0].models == ("A-1B",)
    assert [warning.text for warning in result.warnings if "may mean" in warning.text] == []


def test_a_name_that_is_only_spelt_anew_means_the_model_of_the_note(empty_db):
    _import(empty_db, f"## S\n\n{TABLE}| A-One | TODO |\n")
    result = _import(empty_db, f"## S\n\n{TABLE}| A One | TODO |\n\n## P\n1. [ ] a-one\n")
    assert queries.list_items(empty_db)[0].models == ("A One",)
    assert [model.name for model in queries.find_models(empty_db, "a one")] == ["A One"]
    assert len(result.renamed) == 1


def test_an_older_database_keeps_the_notes_as_they_were_imported(tmp_path):
    home = Home(tmp_path).ensure()
    note, edited = (f"## S\n\n{TABLE}| A-1B | {status} |\n".encode() for status in ("TODO", "Tested"))
    with closing(connect(home.fada_db)) as conn:
        for step in (first, second):
            step(sqlite_utils.Database(conn, execute_plugins=False))
        conn.executemany(
            "INSERT INTO notes(name, imported, who, original, body, is_current) VALUES ('n.md', 0, 'me', ?, ?, ?)",
            [(note, note, 0), (note, edited, 1)],
        )
        conn.execute("PRAGMA user_version = 2")
        migrate(home)
        assert (as_imported(conn), export_note(conn), _names(conn)) == (note, edited, ["A-1B"])
        assert conn.execute("SELECT note_id FROM originals").fetchall()[0][0] == 2
        conn.execute("UPDATE notes SET is_current = (id = 1)")
        assert as_imported(conn) == export_note(conn) == note


def test_what_was_imported_is_kept_from_the_first_edit_on(empty_db):
    note = f"## S\n\n{TABLE}| A-1B | TODO |\n"
    _import(empty_db, note)
    assert as_imported(empty_db) == note.encode()
    for status in ("Tested", "Available"):
        edits.set_status(empty_db, "A-1B", status)
    assert as_imported(empty_db) == note.encode() != export_note(empty_db)


def test_the_first_cell_of_a_row_without_pipes_around_it_is_emptied(empty_db):
    note = "## S\n\nNotes | Model\n--- | ---\n0 | A-1B\n1 | B-1B\n"
    _import(empty_db, note)
    edits.set_note(empty_db, "A-1B", "")
    edits.edit_cells(empty_db, [edits.CellChange("B-1B", "notes", ""), edits.CellChange("B-1B", "status", "Tested")])
    shown = [(model.name, model.notes, model.status) for model in queries.load_tracker(empty_db).models]
    assert shown == [("A-1B", "", "TODO"), ("B-1B", "", "Tested")]
    while edits.undo(empty_db):
        pass
    assert export_note(empty_db).decode() == note


def test_rows_that_a_slip_of_the_hand_cut_off_their_table_are_warned_of(empty_db):
    broken = (
        f"{TABLE}| A-1B | TODO |\n\n| A-2B | TODO |\n| A-3B | TODO |\n\n{TABLE}| B-1B | TODO |\n\t| B-2B | TODO |\n"
    )
    short = "\n| Model | Status |\n|---|\n| C-1B | TODO |\n"
    code = "\n```\n| D-1B | TODO |\n```\n\ntext\n\n    | D-2B | TODO |\n"
    result = _import(empty_db, f"# S\n\n{broken}{short}{code}")
    assert _names(empty_db) == ["A-1B", "B-1B"]
    said = [(warning.line, warning.text.split(" of a table")[0]) for warning in result.warnings]
    assert said == [(7, "2 lines look like rows"), (13, "this looks like a row"), (15, "3 lines look like rows")]


def test_parts_of_one_title_are_told_apart(empty_db):
    part = f"### Models\n\n{TABLE}| {{}} | TODO |\n\n### Next\n- [ ] {{}}\n\n"
    rounds = "".join(f"## Round {at}\n\n{part.format(f'M-{at}B', f'M-{at}B')}" for at in (1, 2))
    note = f"# T\n\n{rounds}### Models\n\n{TABLE}| M-3B | TODO |\n"
    _import(empty_db, note)
    assert [(model.name, model.section) for model in queries.load_tracker(empty_db).models] == [
        ("M-1B", "Models"),
        ("M-2B", "Round 2 \u203a Models"),
        ("M-3B", "Round 2 \u203a Models (2)"),
    ]
    assert [item.phase for item in queries.list_items(empty_db)] == ["Next", "Round 2 \u203a Next"]
    edits.add_model(empty_db, "M-4B", "round 2 \u203a models", {})
    assert export_note(empty_db).decode() == note.replace("| M-2B | TODO |\n", "| M-2B | TODO |\n| M-4B | TODO |\n", 1)
