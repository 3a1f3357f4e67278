"""The tables beside the note: what they say of tables and rows, and single rows written anew."""

from __future__ import annotations

import sqlite3

from db.connect import counters
from db.tracker import queries
from db.tracker.importer import default_note, import_note, read_note
from db.tracker.indexing.index import reindex, replace_line_warnings, update_model_row
from db.tracker.reading.document import Warning

NOTE = """\
## One
| Model | Provider | Family | Size | Status | Notes |
|---|---|---|---|---|---|
| A | p | **Qwen** | 7B | TODO | 50% proxy |
| B | p |
## Two
> | Model |
> |---|
> | C |

- x
## Three
| Model | Focus |
|---|---|
"""


def _import(conn: sqlite3.Connection, text: str) -> None:
    import_note(conn, text.encode(), "note.md", "test")


def _rows(conn: sqlite3.Connection, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in conn.execute(sql)]


def _derived(conn: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    columns = ", ".join(
        row["name"] for row in conn.execute("PRAGMA table_info(models)") if row["name"] not in ("id", "revision")
    )
    return {
        "models": _rows(conn, f"SELECT {columns} FROM models ORDER BY name"),
        "scores": _rows(
            conn,
            "SELECT name, kind, metric, value, n, approximate, text FROM document_scores"
            " JOIN models ON models.id = model_id ORDER BY model_id, document_scores.id",
        ),
        "warnings": _rows(conn, "SELECT line, text, link FROM import_warnings ORDER BY line, link, id"),
    }


def test_model_tables_and_families(empty_db):
    _import(empty_db, NOTE)
    assert _rows(empty_db, "SELECT id, section_id, header_line, last_line, nested FROM model_tables") == [
        (1, 1, 1, 4, 0),
        (2, 2, 6, 8, 1),
        (3, 3, 12, 13, 0),
    ]
    assert _rows(empty_db, "SELECT name, table_id, family FROM models ORDER BY id") == [
        ("A", 1, "Qwen"),
        ("B", 1, None),
        ("C", 2, None),
    ]
    assert queries.load_tracker(empty_db).by_name["A"].family == "Qwen"


def test_families_of_the_shipped_note(tracker_db):
    models = queries.load_tracker(tracker_db).by_name
    names = ("FetalCLIP", "Qwen3-VL-8B", "MedGemma-4B")
    assert [models[name].family for name in names] == ["MBZUAI", "Alibaba", "General medical"]


def test_rows_that_say_the_same_keep_their_revision(empty_db):
    _import(empty_db, NOTE)
    first = counters(empty_db)
    _import(empty_db, NOTE.replace("50% proxy", "60% proxy"))
    now = counters(empty_db)
    assert (now["tracker"], now["tracker-structure"]) == (first["tracker"] + 1, first["tracker-structure"] + 1)
    assert _rows(empty_db, "SELECT name, revision FROM models ORDER BY id") == [
        ("A", now["tracker"]),
        ("B", first["tracker"]),
        ("C", first["tracker"]),
    ]


def test_one_row_written_anew_is_what_a_whole_reading_gives(make_db):
    text = default_note().decode()
    for old, new in (
        ("| MedGemma-4B | General medical | 4B | Proxy tested | ~65% proxy |", "| MedGemma-4B | x | 4B | Odd | 3% a |"),
        ("| 82.9% OpenMed |", "| 82.9% GT (20 samples), 7 tok/s |"),
    ):
        short, whole = make_db(), make_db()
        _import(short, text)
        _import(whole, text)
        document = read_note(text.replace(old, new).encode(), "note.md")
        reindex(whole, document)
        model = next(model for model in document.models if new.split("|")[-2].strip() in (model.notes or ""))
        model_id = short.execute("SELECT id FROM models WHERE name = ?", (model.name,)).fetchone()["id"]
        update_model_row(short, model, model_id, 99)
        line = model.line + 1
        replace_line_warnings(short, line, [warning for warning in document.warnings if warning.line == line])
        assert _derived(short) == _derived(whole)
        assert _rows(short, "SELECT name FROM models WHERE revision = 99") == [(model.name,)]
        short.close()
        whole.close()


def test_warnings_of_links_stay_when_a_line_is_read_anew(empty_db):
    _import(
        empty_db,
        "## S\n| Model | Notes |\n|---|---|\n| Q3-VL-2B | 5% of |\n| Q3-VL-8B | |\n\n## P\n1. [ ] Q3-VL again\n",
    )
    assert _rows(empty_db, "SELECT line, link FROM import_warnings") == [(4, 0), (8, 1)]
    replace_line_warnings(empty_db, 8, [])
    replace_line_warnings(empty_db, 4, [Warning(4, "a"), Warning(4, "b")])
    assert _rows(empty_db, "SELECT line, text FROM import_warnings WHERE NOT link ORDER BY id") == [(4, "a"), (4, "b")]
    assert _rows(empty_db, "SELECT line FROM import_warnings WHERE link") == [(8,)]


def test_a_refreshed_tracker_has_what_changed_and_keeps_the_rest(tracker_db):
    old = queries.load_tracker(tracker_db)
    assert queries.refresh_tracker(tracker_db, old) is old
    revision = old.revision + 1
    tracker_db.execute("UPDATE changes SET counter = ? WHERE topic = 'tracker'", (revision,))
    tracker_db.execute(
        "UPDATE models SET status = 'Tested', revision = ? WHERE name IN ('LLaVA-Med', 'Molmo-7B')", (revision,)
    )
    new = queries.refresh_tracker(tracker_db, old)
    assert new == queries.load_tracker(tracker_db)
    assert new != old
    assert [now is was for now, was in zip(new.sections, old.sections, strict=True)] == [True, True, False, False] + [
        True
    ] * 2
    assert new.items is old.items
    assert [now.name for now, was in zip(new.models, old.models, strict=True) if now is not was] == [
        "Molmo-7B",
        "LLaVA-Med",
    ]
    tracker_db.execute("UPDATE changes SET counter = counter + 1 WHERE topic = 'tracker'")
    tracker_db.execute("UPDATE items SET done = 1 WHERE number = 3")
    ticked = queries.refresh_tracker(tracker_db, new)
    assert ticked.sections == new.sections
    assert [item.number for item in ticked.items if item.done] == [3]


def test_another_structure_is_read_whole(empty_db):
    _import(empty_db, NOTE)
    old = queries.load_tracker(empty_db)
    _import(empty_db, NOTE.replace("| A |", "| New |"))
    new = queries.refresh_tracker(empty_db, old)
    assert new == queries.load_tracker(empty_db)
    assert [model.name for model in new.models] == ["New", "B", "C", "A"]
    assert new.by_name["A"].absent
