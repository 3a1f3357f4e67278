from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from db.connect import connect, counters
from db.home import Home
from db.migrate import migrate
from db.tracker import queries
from db.tracker.edits import add_alias, set_status, undo
from db.tracker.errors import NoteError
from db.tracker.export import export_note
from db.tracker.importer import default_note, import_default, import_note
from db.tracker.rows import ABSENT_TITLE


def _count(conn: sqlite3.Connection, table: str, where: str = "1") -> int:
    return int(conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])


def _import(conn: sqlite3.Connection, text: str, name: str = "note.md"):
    return import_note(conn, text.encode(), name, "test")


def test_the_shipped_note_has_everything_in_tables(tracker_db):
    tracker = queries.load_tracker(tracker_db)
    assert tracker.title == "fada-v3"
    assert [len(section.models) for section in tracker.sections] == [6, 11, 7, 5, 8, 5]
    assert tracker.sections[0].title == "Fetal Ultrasound Specific Models (HIGH PRIORITY)"
    assert [item.number for item in tracker.items] == list(range(1, 15))
    assert len({item.phase for item in tracker.items}) == 4
    counts = {
        table: _count(tracker_db, table) for table in ("models", "benchmark_tasks", "benchmark_facts", "pipelines")
    }
    assert counts == {"models": 42, "benchmark_tasks": 8, "benchmark_facts": 6, "pipelines": 1}
    kinds = dict(tracker_db.execute("SELECT kind, count(*) FROM finetune_rows GROUP BY kind").fetchall())
    assert kinds == {"verified": 7, "likely": 2, "other": 7, "cannot": 5}
    kinds = dict(tracker_db.execute("SELECT kind, count(*) FROM export_rows GROUP BY kind").fetchall())
    assert kinds == {"candidate": 4, "native": 4}
    assert _count(tracker_db, "papers", "list = 'Key Papers'") == 6
    assert _count(tracker_db, "summary_cells") == 7 * 3 + 5 + 3
    assert _count(tracker_db, "benchmarks") == 1


def test_every_item_of_the_shipped_note_is_tied_to_one_model(tracker_db):
    items = queries.load_tracker(tracker_db).items
    assert [item.models for item in items if len(item.models) != 1] == []
    assert items[3].models == ("Qwen2.5-VL-7B",)
    assert items[8].models == ("Llama-3.2-Vision",)


def test_table_rows_are_tied_to_models(tracker_db):
    for name in ("InternVL2-2B", "InternVL2-4B"):
        detail = queries.model_detail(tracker_db, name)
        assert detail is not None
        assert [row["Method"] for row in detail.finetune] == ["InternVL method"]
    detail = queries.model_detail(tracker_db, "FetalCLIP")
    assert detail is not None
    assert [paper.split(" ")[0] for paper in detail.papers] == ["FetalCLIP"]
    detail = queries.model_detail(tracker_db, "SmolVLM-500M")
    assert detail is not None
    assert [row["kind"] for row in detail.mobile] == ["candidate", "native"]


def test_stated_scores_of_the_shipped_note(tracker_db):
    models = {model.name: model for model in queries.load_tracker(tracker_db).models}
    score = models["Qwen2.5-VL-7B"].scores[0]
    assert (score.kind, score.metric, score.value, score.n, score.approximate) == ("gt", "cosine", 0.811, 600, False)
    score = models["Qwen2-VL-7B"].scores[0]
    assert (score.kind, score.metric, score.value, score.n, score.approximate) == ("proxy", "keyword", 0.75, None, True)
    score = models["Moondream2"].scores[0]
    assert (score.kind, score.metric, score.value) == ("perf", "tokens_per_s", 25.6)
    assert models["CheXagent-8B"].scores[0].value == 0
    assert models["Medical-VLM-24B"].scores == ()
    warnings = [row["text"] for row in tracker_db.execute("SELECT text FROM import_warnings")]
    assert any("82.9% OpenMed" in text for text in warnings)


def test_the_shipped_note_exports_as_itself(tracker_db):
    assert export_note(tracker_db) == default_note()


def test_two_first_starts_at_once_import_one_note(tmp_path):
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    threads = [threading.Thread(target=import_default, args=(home,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conn = connect(home.fada_db)
    assert (_count(conn, "notes"), _count(conn, "history"), _count(conn, "models")) == (1, 1, 42)
    conn.close()


def test_import_default_once_and_never_over_the_users_note(tmp_path):
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    import_default(home)
    import_default(home)
    conn = connect(home.fada_db)
    assert _count(conn, "notes") == 1
    _import(conn, "# M\n| Model |\n|---|\n| Mine |\n")
    import_default(home)
    assert [model.name for model in queries.load_tracker(conn).models if not model.absent] == ["Mine"]
    conn.close()


@pytest.mark.parametrize(
    ("data", "where", "word"),
    [
        (b"", "n.md:1", "empty"),
        (b" \n\n", "n.md:1", "empty"),
        (b"# Title\n\nprose\n", "n.md:1", "no model table"),
        (b"# T\n| Name | Status |\n|---|---|\n| a | b |\n", "n.md:1", "no model table"),
        (b"# T\nok\nbad \xff\xfe\n", "n.md:3", "UTF-8"),
        (b"# T\r\nok\r\nbad \xe9\r\n", "n.md:3", "UTF-8"),
    ],
)
def test_bad_notes_name_the_line_and_leave_the_database(tracker_db, data, where, word):
    before = list(tracker_db.iterdump())
    with pytest.raises(NoteError) as caught:
        import_note(tracker_db, data, "n.md", "test")
    assert caught.value.where == where
    assert word in caught.value.message
    assert list(tracker_db.iterdump()) == before


NOTE = """\
# All models

### Tuned and friends
| Status | Notes | Model | Params | Colour |
|:--|--:|:-:|---|---|
| Local Tested | n | Alpha | 7B | red |
Proxy tested | 70 % proxy (1,000 images) | [Beta](https://example.org) | 1-4.5B
| **Odd words** | | `Gamma` | 4B/12B | a \\| b |

#### Deeper
> | Model | VRAM |
> |---|---|
> | Delta | ~10-16GB |
"""


def test_other_dialects(empty_db):
    result = _import(empty_db, NOTE)
    models = {model.name: model for model in queries.load_tracker(empty_db).models}
    assert list(models) == ["Alpha", "Beta", "Gamma", "Delta"]
    assert models["Alpha"].status == "Local tested"
    assert (models["Alpha"].size, models["Alpha"].size_b, models["Alpha"].columns["Colour"]) == ("7B", 7.0, "red")
    beta = models["Beta"]
    assert (beta.size_b, beta.sizes_b) == (None, (1.0, 4.5))
    assert [(score.kind, score.value, score.n) for score in beta.scores] == [("proxy", 0.7, 1000)]
    gamma = models["Gamma"]
    assert (gamma.status, gamma.variants, gamma.columns["Colour"]) == ("Odd words", ("4B", "12B"), "a | b")
    assert (models["Delta"].status, models["Delta"].vram_gb, models["Delta"].vrams_gb) == ("TODO", None, (10.0, 16.0))
    assert [section.title for section in queries.load_tracker(empty_db).sections] == ["Tuned and friends", "Deeper"]
    assert [warning.line for warning in result.warnings] == [7]


def test_broken_rows_and_duplicates_are_listed_and_the_rest_imported(empty_db):
    result = _import(
        empty_db,
        "## S\n| Model | Status |\n|---|---|\n| A | TODO |\n| A | Tested |\n|  | TODO |\n| B |\n| C | TODO | more |\n",
    )
    tracker = queries.load_tracker(empty_db)
    assert [(model.name, model.status) for model in tracker.models] == [("A", "TODO"), ("B", "TODO"), ("C", "TODO")]
    assert [warning.line for warning in result.warnings] == [5, 6, 7, 8]
    assert "line 4" in result.warnings[0].text


def test_a_later_note_updates(empty_db):
    first = "## One\n| Model | Status |\n|---|---|\n| A | TODO |\n| B | TODO |\n| C | TODO |\n"
    later = "## One\n| Model | Status |\n|---|---|\n| A | Tested |\n## Two\n| Model |\n|---|\n| C |\n| D |\n"
    _import(empty_db, first)
    ids = {model.name: model.id for model in queries.load_tracker(empty_db).models}
    result = _import(empty_db, later)
    assert (result.added, result.changed, result.absent) == (("D",), ("A", "C"), ("B",))
    assert "A: Status: TODO → Tested" in result.details
    assert "C: moved from One to Two" in result.details
    models = {model.name: model for model in queries.load_tracker(empty_db).models}
    assert {name: models[name].id for name in ids} == ids
    assert [name for name, model in models.items() if model.absent] == ["B"]
    assert queries.load_tracker(empty_db).sections[-1].title == ABSENT_TITLE
    result = _import(empty_db, first)
    assert (result.added, result.absent) == ((), ("D",))
    assert "B: back in the note" in result.details


def test_undo_of_an_import_brings_the_note_before_back(empty_db):
    first = "## One\r\n| Model | Status |\r\n|---|---|\r\n| A | TODO |\r\n| B | TODO |"
    _import(empty_db, first)
    before = queries.load_tracker(empty_db)
    _import(empty_db, "## One\n| Model |\n|---|\n| A |\n| D |\n")
    assert undo(empty_db)
    after = queries.load_tracker(empty_db)
    assert (after.title, after.sections, after.items) == (before.title, before.sections, before.items)
    assert export_note(empty_db) == first.encode()
    assert undo(empty_db) == []


def test_ambiguous_mentions_are_listed_and_an_alias_settles_them(empty_db):
    text = (
        "## S\n| Model | Size |\n|---|---|\n| Qwen3-VL-2B | 2B |\n| Qwen3-VL-8B | 8B |\n\n## Phase 1\n"
        "1. [ ] Qwen3-VL again\n2. [ ] something else\n"
    )
    result = _import(empty_db, text)
    assert [item.models for item in queries.load_tracker(empty_db).items] == [(), ()]
    assert [(warning.line, "Qwen3-VL-2B or Qwen3-VL-8B" in warning.text) for warning in result.warnings] == [(8, True)]
    add_alias(empty_db, "Qwen3-VL-8B", "Qwen3-VL")
    assert [item.models for item in queries.load_tracker(empty_db).items] == [("Qwen3-VL-8B",), ()]


def test_items_with_repeated_or_missing_numbers_get_their_own(empty_db):
    result = _import(
        empty_db,
        "# M\n| Model |\n|---|\n| A |\n\n## P1\n1. [ ] a\n2. [X] b\n\n## P2\n1. [ ] c\n\n- [x] d\n- not a box\n",
    )
    items = queries.load_tracker(empty_db).items
    assert [(item.number, item.text, item.done) for item in items] == [
        (1, "a", False),
        (2, "b", True),
        (3, "c", False),
        (4, "d", True),
    ]
    assert [warning.line for warning in result.warnings] == [11, 13]


def test_names_are_found_by_any_spelling(tracker_db):
    def names(text: str) -> list[str]:
        return [model.name for model in queries.find_models(tracker_db, text)]

    assert names("Qwen2-VL-2B") == ["Qwen2-VL-2B"]
    assert names("qwen2 vl 2b") == ["Qwen2-VL-2B"]
    assert names("Llama-3.2-Vision-11B") == ["Llama-3.2-Vision"]
    assert names("Gemma-3-Vision:4B") == ["Gemma-3-Vision"]
    assert names("Gemma-3-Vision-7B") == []
    assert names("Qwen") == []
    assert queries.nearest_names(tracker_db, "Qwen2-VL-2")[0] == "Qwen2-VL-2B"
    assert queries.model_detail(tracker_db, "nothing") is None


def test_the_panel_is_told(tracker_db):
    before = counters(tracker_db)["tracker"]
    import_note(tracker_db, default_note(), "again.md", "test")
    assert counters(tracker_db)["tracker"] == before + 1


def _renamed(conn: sqlite3.Connection, before: list[str], after: list[str]) -> tuple[tuple[str, str], ...]:
    head = "## S\n| Model | Size | Status | Notes |\n|---|---|---|---|\n"
    _import(conn, head + "\n".join(before))
    result = _import(conn, head + "\n".join(after))
    names = {warning.line: warning.text for warning in result.warnings}
    for old, new in result.renamed:
        assert (old in result.absent, new in result.added) == (True, True)
        assert any(f"fada alias {new} {old}" in text for text in names.values())
    return result.renamed


@pytest.mark.parametrize(
    ("before", "after", "renamed"),
    [
        (["|A|7B|TODO|x|"], ["|Zed|7B|TODO|x|"], [("A", "Zed")]),
        (["|A|7B|TODO|x|", "|B|2B|TODO|y|"], ["|B|2B|TODO|y|", "|**Zed**|7B|TODO|x|"], [("A", "Zed")]),
        (["|A|7B|TODO|x|"], ["|Zed|7B|TODO|another|"], []),
        # Cells that two have, or that say nothing, tell nothing.
        (["|A|7B|TODO|x|", "|B|7B|TODO|x|"], ["|Y|7B|TODO|x|", "|Z|7B|TODO|x|"], []),
        (["|A|-|TODO||"], ["|Zed|-|TODO||"], []),
        # The same place, nearly the same name; another number is another model.
        (["|K|1B|TODO||", "|Pixtral-12B|12B|TODO||"], ["|K|1B|TODO||", "|Pixtral-12B-Base|12B|Tested|n|"],
         [("Pixtral-12B", "Pixtral-12B-Base")]),
        (["|Pixtral-12B|12B|TODO||"], ["|Pixtral-13B|13B|Tested|n|"], []),
        (["|K|1B|TODO||", "|Pixtral-12B|12B|TODO||"], ["|Pixtral-12B-Base|12B|Tested|n|", "|K|1B|TODO||"], []),
    ],
)  # fmt: skip
def test_likely_renames_are_said_and_nothing_is_tied(empty_db, before, after, renamed):
    assert _renamed(empty_db, before, after) == tuple(renamed)
    assert _count(empty_db, "aliases") == 0


def test_a_note_remembers_the_file_it_came_from(empty_db, tmp_path):
    data = b"# M\n| Model |\n|---|\n| A |\n"
    path = tmp_path / "there" / ".." / "note.md"
    (tmp_path / "there").mkdir()
    (tmp_path / "note.md").write_bytes(data)
    import_note(empty_db, data, "note.md", "test", path)
    note = empty_db.execute("SELECT id, path FROM notes WHERE is_current").fetchone()
    assert note["path"] == str((tmp_path / "note.md").resolve())
    synced = empty_db.execute("SELECT path, note_id, base FROM synced").fetchone()
    assert tuple(synced) == (note["path"], note["id"], data)
    _import(empty_db, "# M\n| Model |\n|---|\n| B |\n")
    assert empty_db.execute("SELECT path FROM notes WHERE is_current").fetchone()["path"] is None
    assert _count(empty_db, "synced") == 1


def test_a_pipe_is_no_file_to_keep_in_step_with(empty_db):
    import_note(empty_db, b"# M\n| Model |\n|---|\n| A |\n", "stdin", "test", Path("/dev/null"))
    assert _count(empty_db, "synced") == 0


def test_the_history_of_one_model(empty_db):
    _import(empty_db, "# M\n| Model | Status |\n|---|---|\n| A | TODO |\n| B | TODO |\n")
    for name, status in (("A", "Tested"), ("B", "Available"), ("A", "Fine-tuned")):
        set_status(empty_db, name, status)
    changes = queries.history(empty_db, None, "A")
    assert [(change.models, change.text.rpartition(" ")[2]) for change in changes] == [
        (("A",), "Fine-tuned"),
        (("A",), "Tested"),
    ]
    assert [change.models for change in queries.history(empty_db, 2)] == [("A",), ("B",)]
    assert queries.history(empty_db, model="nobody") == []


def test_the_package_ships_the_note():
    assert Path(__file__).parents[2].joinpath("db/note/default.md").read_bytes() == default_note()


def test_a_fine_tuning_table_with_a_status_column_is_no_second_section(empty_db):
    note = (
        "## Models\n\n| Model | Status |\n|---|---|\n| ~~Old-1B~~ | ✅ Tested |\n| New-2B | TODO |\n\n"
        "## Fine-tuning\n\n| Model | Method | Status |\n|---|---|---|\n| New-2B | LoRA | verified |\n\n"
        "## Models to fine-tune\n\n| Model | Status |\n|---|---|\n| Third-3B | TODO |\n"
    )
    result = import_note(empty_db, note.encode(), "n.md", "me")
    assert (result.models, result.sections, result.warnings) == (3, 2, ())
    assert next((model.name, model.status) for model in queries.load_tracker(empty_db).models) == ("Old-1B", "Tested")
    detail = queries.model_detail(empty_db, "New-2B")
    assert detail and [row["Method"] for row in detail.finetune] == ["LoRA"]


def test_a_score_column_without_a_unit_is_listed(empty_db):
    note = "| Model | Score | Status |\n|---|---|---|\n| A-1 | 78.8 | Tested |\n"
    result = import_note(empty_db, note.encode(), "n.md", "me")
    assert [warning.text for warning in result.warnings] == [
        "A-1: what '78.8' measures is not said: not taken as a score"
    ]


def test_an_import_says_what_it_read_beside_the_models(empty_db: sqlite3.Connection) -> None:
    assert import_note(empty_db, default_note(), "n.md", "test").contents == {
        "checklist": {"phases": 4, "items": 14},
        "finetune": {"verified": 7, "likely": 2, "other": 7, "cannot": 5},
        "export": {"candidate": 4, "native": 4, "pipeline": 1},
        "papers": {"Papers": 2, "Key Papers": 6},
        "benchmarks": {"U2-BENCH facts": 6, "U2-BENCH tasks": 8},
        "summary": {"figures": 29},
    }
    assert import_note(empty_db, b"## S\n| Model |\n|--|\n| A |\n", "n.md", "test").contents == {}
