from __future__ import annotations

import difflib
import threading

import pytest

from db.connect import connect, counters
from db.home import Home
from db.migrate import migrate
from db.tracker import edits, queries
from db.tracker.errors import EditError
from db.tracker.export import export_note
from db.tracker.importer import default_note, import_default, import_note


def _diff(before: bytes, after: bytes) -> list[str]:
    lines = difflib.unified_diff(before.decode().split("\n"), after.decode().split("\n"), n=0, lineterm="")
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def _import(conn, text: str) -> None:
    import_note(conn, text.encode(), "note.md", "test")


def _status(conn, name: str) -> str:
    return queries.find_models(conn, name)[0].status


def test_done_flips_one_character_and_undone_flips_it_back(tracker_db):
    before = export_note(tracker_db)
    assert edits.set_item(tracker_db, 3, True) == ["item 3 done: InternVL2-4B (1,494 test images)"]
    after = export_note(tracker_db)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    assert queries.load_tracker(tracker_db).items[2].done
    assert edits.set_item(tracker_db, 3, True) == []
    edits.set_item(tracker_db, 3, False)
    assert export_note(tracker_db) == before


def test_status_keeps_bold_and_the_rest_of_the_line(tracker_db):
    before = export_note(tracker_db)
    edits.set_status(tracker_db, "Qwen2.5-VL-7B", "tested")
    edits.set_status(tracker_db, "Molmo-7B", "Local Tested")
    assert _diff(before, export_note(tracker_db)) == [
        "-| **Qwen2.5-VL-7B** | Alibaba | 7B | ~16GB | **Fine-tuned** | 81.1% GT (600 samples) |",
        "+| **Qwen2.5-VL-7B** | Alibaba | 7B | ~16GB | **Tested** | 81.1% GT (600 samples) |",
        "-| Molmo-7B | AllenAI | 7B | ~16GB | Proxy tested | ~70% proxy |",
        "+| Molmo-7B | AllenAI | 7B | ~16GB | Local tested | ~70% proxy |",
    ]
    assert (_status(tracker_db, "Qwen2.5-VL-7B"), _status(tracker_db, "Molmo-7B")) == ("Tested", "Local tested")


def test_padding_of_an_aligned_table_is_kept(empty_db):
    _import(
        empty_db,
        "## S\n"
        "| Model | Status       |    Notes |\n"
        "|-------|--------------|---------:|\n"
        "| A     | TODO         |       no |\n"
        "| B     | Proxy tested | 70% long |\n",
    )
    edits.set_status(empty_db, "A", "Tested")
    edits.set_note(empty_db, "A", "maybe")
    edits.set_note(empty_db, "B", "x")
    edits.set_status(empty_db, "B", "TODO")
    assert export_note(empty_db).decode().split("\n")[3:5] == [
        "| A     | Tested       |    maybe |",
        "| B     | TODO         |        x |",
    ]
    edits.set_note(empty_db, "A", "longer than that")
    assert "| A     | Tested       | longer than that |\n" in export_note(empty_db).decode()


def test_a_table_without_notes_gets_the_column(tracker_db):
    before = export_note(tracker_db)
    changed = edits.set_note(tracker_db, "FetalCLIP", "asked | the authors")
    assert changed == ["FetalCLIP: Notes (empty) → asked | the authors (a new column)"]
    lines = export_note(tracker_db).decode().split("\n")
    assert lines[8].endswith("| Status | Notes |")
    assert lines[9].endswith("|--------|-------|")
    assert lines[10].endswith("| TODO | asked \\| the authors |")
    assert queries.find_models(tracker_db, "FetalCLIP")[0].notes == "asked | the authors"
    assert queries.find_models(tracker_db, "Sonomate")[0].notes == ""
    assert len(queries.load_tracker(tracker_db).models) == 42
    edits.undo(tracker_db)
    assert export_note(tracker_db) == before


HOSTILE = [
    "[bold]not markup[/bold] [@click=app.quit]x[/]",
    "\x1b[31mred\x1b[0m \x07 bell \x9b1m",
    "\u202eright to left\u202c \u200f \u2066x\u2069",
    "👩‍🔬 🤰🏽 ｆｕｌｌ",
    "x" * 10_000,
    "a | b || c \\| d \\",
    "**bold** `code` <script> &amp; [link](x) ~~s~~",
    "| --- |",
    "\u2028 line separators \x0b \x0c \x85 inside",
    "1. [ ] not an item",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_survives_the_round_trip(tracker_db, make_db, text):
    edits.set_note(tracker_db, "Molmo-7B", text)
    exported = export_note(tracker_db)
    other = make_db()
    import_note(other, exported, "again.md", "test")
    assert queries.find_models(other, "Molmo-7B")[0].notes == text.strip()
    assert export_note(other) == exported
    assert len(queries.load_tracker(other).items) == 14
    other.close()
    edits.undo(tracker_db)
    assert export_note(tracker_db) == default_note()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_models_like_others(empty_db, text):
    cell = text.replace("|", "\\|")
    note = f"## {text}\n| Model | Status |\n|---|---|\n| N{cell} | TODO |\n\n### P\n1. [ ] N{cell}\n"
    _import(empty_db, note)
    model = queries.load_tracker(empty_db).models[0]
    edits.set_status(empty_db, model.name, "Tested")
    edits.set_item(empty_db, 1, True)
    assert _status(empty_db, model.name) == "Tested"
    edits.undo(empty_db)
    edits.undo(empty_db)
    assert export_note(empty_db) == note.encode()


@pytest.mark.parametrize(
    ("call", "word", "hint"),
    [
        (lambda db: edits.set_item(db, 99, True), "99", "1 to 14"),
        (lambda db: edits.set_status(db, "Qwen2-VL-2", "Tested"), "Qwen2-VL-2", "Qwen2-VL-2B"),
        (lambda db: edits.set_status(db, "Molmo-7B", "Finished"), "Finished", "TODO, Available"),
        (lambda db: edits.set_note(db, "Molmo-7B", "two\nlines"), "one line", "line breaks"),
        (lambda db: edits.set_note(db, "Molmo-7B", "bad \udcff"), "Unicode", "UTF-8"),
        (lambda db: edits.add_alias(db, "Molmo-7B", "qwen2-vl-2b"), "already means Qwen2-VL-2B", "another"),
        (lambda db: edits.add_alias(db, "Molmo-7B", " "), "alias", "fada alias"),
    ],
)
def test_bad_edits_say_what_to_do_and_change_nothing(tracker_db, call, word, hint):
    before = list(tracker_db.iterdump())
    with pytest.raises(EditError) as caught:
        call(tracker_db)
    assert word in caught.value.message
    assert hint in (caught.value.hint or "")
    assert list(tracker_db.iterdump()) == before


def test_a_text_that_would_break_the_table_is_refused(empty_db):
    note = "## S\nNotes | Model\n--- | ---\nfine | A\nalso | B\n"
    _import(empty_db, note)
    with pytest.raises(EditError, match="break the table"):
        edits.set_note(empty_db, "A", "# heading")
    assert export_note(empty_db) == note.encode()
    edits.set_note(empty_db, "A", "still fine")
    assert queries.find_models(empty_db, "A")[0].notes == "still fine"


def test_an_absent_model_cannot_be_edited(empty_db):
    _import(empty_db, "## S\n| Model | Status |\n|---|---|\n| A | TODO |\n")
    _import(empty_db, "## S\n| Model | Status |\n|---|---|\n| B | TODO |\n")
    with pytest.raises(EditError, match="no longer in the note"):
        edits.set_status(empty_db, "A", "Tested")


@pytest.mark.parametrize(
    ("row", "written"),
    [
        ("| B |", "| B | | | new \\| text |"),
        ("| B | x |  ", "| B | x | | new \\| text |  "),
        ("B | x", "B | x | | new \\| text"),
        ("| B", "| B | | | new \\| text"),
        ("| B | x \\|", "| B | x \\| | | new \\| text"),
    ],
)
def test_a_row_with_too_few_cells_gets_those_it_lacks(empty_db, row, written):
    note = f"## S\n| Model | Size | Status | Notes |\n|---|---|---|---|\n| A | 1B | TODO | x |\n{row}\n"
    _import(empty_db, note)
    edits.set_note(empty_db, "B", "new | text")
    assert export_note(empty_db).decode().split("\n")[4] == written
    assert queries.find_models(empty_db, "B")[0].notes == "new | text"
    edits.set_status(empty_db, "B", "Tested")
    assert _status(empty_db, "B") == "Tested"
    edits.undo(empty_db)
    edits.undo(empty_db)
    assert export_note(empty_db) == note.encode()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_bom_and_a_missing_last_newline_survive_edits(empty_db, end, bom, last):
    text = "---\nproject: p\n---\n# S\n\n| Model | Status |\n|---|---|\n| A | TODO |  \n\n## P\n1. [ ] A".replace(
        "\n", end
    )
    data = bom + (text + (end if last else "")).encode()
    import_note(empty_db, data, "n.md", "test")
    edits.set_item(empty_db, 1, True)
    edits.set_status(empty_db, "A", "Tested")
    assert export_note(empty_db) == data.replace(b"[ ]", b"[x]").replace(b"TODO", b"Tested")
    edits.undo(empty_db)
    edits.undo(empty_db)
    assert export_note(empty_db) == data


def test_undo_and_redo_over_everything_and_a_new_edit_ends_the_branch(tracker_db):
    edits.set_item(tracker_db, 1, True)
    edits.set_status(tracker_db, "Molmo-7B", "Tested")
    edits.add_alias(tracker_db, "Molmo-7B", "the molmo")
    edited = export_note(tracker_db)
    assert edits.undo(tracker_db) == ["taken back: Molmo-7B: also called the molmo"]
    assert queries.find_models(tracker_db, "the molmo") == []
    edits.undo(tracker_db)
    edits.undo(tracker_db)
    assert edits.undo(tracker_db) == []
    assert export_note(tracker_db) == default_note()
    for _ in range(3):
        assert edits.redo(tracker_db)
    assert edits.redo(tracker_db) == []
    assert export_note(tracker_db) == edited
    assert queries.find_models(tracker_db, "the molmo")[0].name == "Molmo-7B"
    edits.undo(tracker_db)
    edits.set_item(tracker_db, 2, True)
    assert edits.redo(tracker_db) == []
    assert [(change.text.split(":")[0], change.undone) for change in queries.history(tracker_db, 3)] == [
        ("item 2 done", False),
        ("Molmo-7B", True),
        ("Molmo-7B", False),
    ]


def test_history_and_undo_survive_the_program(tmp_path):
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    import_default(home)
    conn = connect(home.fada_db)
    edits.set_item(conn, 1, True, who="someone")
    conn.close()
    conn = connect(home.fada_db)
    assert queries.history(conn, 1)[0].who == "someone"
    edits.undo(conn)
    assert export_note(conn) == default_note()
    assert counters(conn)["tracker"] == 3
    conn.close()


def test_two_writers_lose_nothing(tmp_path):
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    import_default(home)
    problems: list[Exception] = []

    def tick(numbers: range) -> None:
        conn = connect(home.fada_db)
        try:
            for number in numbers:
                edits.set_item(conn, number, True)
        except Exception as error:  # noqa: BLE001
            problems.append(error)
        finally:
            conn.close()

    threads = [threading.Thread(target=tick, args=(numbers,)) for numbers in (range(1, 8), range(8, 15))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    conn = connect(home.fada_db)
    assert all(item.done for item in queries.load_tracker(conn).items)
    assert len(queries.history(conn, None)) == 15
    conn.close()


def test_a_backslash_at_the_end_does_not_swallow_the_pipe_behind_it(empty_db):
    _import(empty_db, "## S\n|Notes|Model|\n|---|---|\n|x|A|\n")
    edits.set_note(empty_db, "A", "path\\")
    assert "|path\\ |A|\n" in export_note(empty_db).decode()
    assert queries.find_models(empty_db, "A")[0].notes == "path\\"


def test_an_emptied_last_cell_of_an_open_row_stays_a_cell(empty_db):
    _import(empty_db, "## S\nModel | Notes\n--- | ---\nA | x\nB | y\n")
    edits.set_note(empty_db, "A", "")
    assert queries.find_models(empty_db, "A")[0].notes == ""
    edits.set_note(empty_db, "A", "back")
    assert queries.find_models(empty_db, "A")[0].notes == "back"
    assert queries.find_models(empty_db, "B")[0].notes == "y"


def test_a_column_is_added_to_a_table_without_outer_pipes(empty_db):
    import_note(empty_db, b"## S\n\nModel | Size\n---|---\nA | 1B\nB | 2B\n", "n.md", "test")
    edits.set_note(empty_db, "A", "x")
    assert export_note(empty_db).decode().splitlines()[2:] == [
        "Model | Size | Notes",
        "---|---|-------",
        "A | 1B | x",
        "B | 2B | |",
    ]
