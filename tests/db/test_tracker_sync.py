from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from db.tracker import edits
from db.tracker.errors import NoteConflict, NoteError
from db.tracker.export import export_note, export_to_file
from db.tracker.importer import default_note, import_note
from db.tracker.queries import find_models, history, list_items
from db.tracker.sync import look, note_file, plan_sync, sync_note

NOTE = default_note()
MODEL = b"| **Qwen3-VL-8B** | Alibaba | 8B | ~20GB | Local tested | Unsloth works |"


@pytest.fixture
def path(empty_db, tmp_path) -> Path:
    """A note of one's own, imported."""
    path = tmp_path / "tracker.md"
    path.write_bytes(NOTE)
    import_note(empty_db, NOTE, str(path), "test", path=path)
    return path


def _by_hand(path: Path, was: bytes, now: bytes) -> None:
    data = path.read_bytes()
    assert was in data
    path.write_bytes(data.replace(was, now))


def _status(conn: sqlite3.Connection, name: str) -> str:
    return find_models(conn, name)[0].status


def _everything(conn: sqlite3.Connection, path: Path) -> tuple:
    return list(conn.iterdump()), path.read_bytes(), path.stat().st_ino, sorted(path.parent.iterdir())


def test_both_ways_at_once(empty_db, path):
    edits.set_status(empty_db, "Qwen3-VL-8B", "Tested")
    edits.set_item(empty_db, 5, True)
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    _by_hand(path, b"| Fast, cheap |", b"| Fast |")
    path.chmod(0o640)
    plan = plan_sync(empty_db, path)
    assert plan.incoming == ("Gemini-3-Flash: Notes Fast, cheap → Fast", "item 6 done: EchoVLM")
    assert plan.outgoing == ("Qwen3-VL-8B: Status Local tested → Tested", "item 5 done: FetalCLIP")
    assert sync_note(empty_db, path, fingerprint=plan.fingerprint).changed == [
        *plan.incoming,
        f"wrote 2 changes to {path}",
    ]
    assert path.read_bytes() == export_note(empty_db)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (_status(empty_db, "Qwen3-VL-8B"), find_models(empty_db, "Gemini-3-Flash")[0].notes) == ("Tested", "Fast")
    assert [item.number for item in list_items(empty_db) if item.done] == [5, 6]
    again = sync_note(empty_db, path)
    assert (again.changed, again.wrote) == ([], False)


def test_one_undo_takes_back_what_came_in_and_the_next_sync_says_so_to_the_file(empty_db, path):
    edits.set_item(empty_db, 5, True)
    before = export_note(empty_db)
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    sync_note(empty_db, path)
    assert history(empty_db)[0].text.startswith(f"synced with {path}")
    edits.undo(empty_db)
    assert export_note(empty_db) == before
    assert note_file(empty_db) == path
    assert sync_note(empty_db, path).changed == [f"wrote 1 change to {path}"]
    assert path.read_bytes() == before
    edits.undo(empty_db)
    assert export_note(empty_db) == NOTE


def test_only_one_side_changed(empty_db, path):
    edits.set_item(empty_db, 5, True)
    entries = len(history(empty_db))
    assert sync_note(empty_db, path).changed == [f"wrote 1 change to {path}"]
    assert len(history(empty_db)) == entries
    inode = path.stat().st_ino
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    result = sync_note(empty_db, path)
    assert (result.changed, result.wrote) == (["item 6 done: EchoVLM"], False)
    assert path.stat().st_ino == inode


def test_a_conflict_leaves_everything_until_it_is_settled(empty_db, path):
    edits.set_status(empty_db, "Qwen3-VL-8B", "Tested")
    edits.set_item(empty_db, 5, True)
    _by_hand(path, MODEL, MODEL.replace(b"Local tested", b"Fine-tuned"))
    before = _everything(empty_db, path)
    result = sync_note(empty_db, path)
    assert [conflict.what for conflict in result.conflicts] == ["Qwen3-VL-8B: Status"]
    assert (result.changed, result.wrote) == ([], False)
    assert plan_sync(empty_db, path).conflicts == result.conflicts
    assert _everything(empty_db, path) == before
    assert sync_note(empty_db, path, prefer={1: "ours"}).conflicts == result.conflicts
    assert sync_note(empty_db, path, prefer={0: "theirs"}).changed == [
        "Qwen3-VL-8B: Status: Tested → Fine-tuned",
        f"wrote 1 change to {path}",
    ]
    assert _status(empty_db, "Qwen3-VL-8B") == "Fine-tuned"
    assert path.read_bytes() == export_note(empty_db)


def test_ours_settles_for_the_note(empty_db, path):
    edits.set_status(empty_db, "Qwen3-VL-8B", "Tested")
    _by_hand(path, MODEL, MODEL.replace(b"Local tested", b"Fine-tuned"))
    assert sync_note(empty_db, path, prefer="ours").wrote
    assert b"~20GB | Tested |" in path.read_bytes()


def test_choices_made_on_an_older_state_are_refused(empty_db, path):
    plan = plan_sync(empty_db, path)
    edits.set_item(empty_db, 5, True)
    before = _everything(empty_db, path)
    with pytest.raises(NoteConflict, match="while you were choosing"):
        sync_note(empty_db, path, prefer="ours", fingerprint=plan.fingerprint)
    assert _everything(empty_db, path) == before


def test_a_file_saved_while_it_is_written_stays_and_nothing_is_stored(empty_db, path, at_flush):
    edits.set_item(empty_db, 5, True)
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    dump = list(empty_db.iterdump())
    at_flush(lambda: path.write_text("saved meanwhile"))
    with pytest.raises(NoteConflict, match="just now"):
        sync_note(empty_db, path)
    assert path.read_text() == "saved meanwhile"
    assert list(empty_db.iterdump()) == dump


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(empty_db, path, at_flush):
    edits.set_item(empty_db, 5, True)
    dump = list(empty_db.iterdump())

    def a_pipe_comes() -> None:
        path.unlink()
        os.mkfifo(path)

    at_flush(a_pipe_comes)
    with pytest.raises(NoteError, match="not a file"):
        sync_note(empty_db, path)
    assert sorted(path.parent.iterdir()) == [path]
    assert list(empty_db.iterdump()) == dump


def test_what_a_person_settled_counts_for_the_side_that_was_chosen(empty_db, path):
    edits.set_statuses(empty_db, ["GPT-4V", "GPT-4o"], "Tested")
    edits.set_item(empty_db, 1, True)
    _by_hand(path, b"| GPT-4V | OpenAI | TODO", b"| GPT-4V | OpenAI | Available")
    _by_hand(path, b"| GPT-4o | OpenAI | TODO", b"| GPT-4o | OpenAI | Available")
    assert sync_note(empty_db, path, prefer={0: "ours", 1: "theirs"}).changed == [
        "GPT-4o: Status: Tested → Available",
        f"wrote 2 changes to {path}",
    ]


def test_a_box_that_both_ticked_in_their_own_way_is_no_change(empty_db, path):
    edits.set_item(empty_db, 5, True)
    _by_hand(path, b"5. [ ] FetalCLIP", b"5. [X] FetalCLIP")
    assert sync_note(empty_db, path).changed == [f"wrote {path}"]
    assert path.read_bytes() == export_note(empty_db)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"# no table\n", b"\n"])
def test_a_file_that_is_no_note_is_refused(empty_db, path, data):
    edits.set_item(empty_db, 5, True)
    path.write_bytes(data)
    before = _everything(empty_db, path)
    for attempt in (sync_note, plan_sync):
        with pytest.raises(NoteError) as caught:
            attempt(empty_db, path)
        assert str(path) in caught.value.where
    assert _everything(empty_db, path) == before


def test_places_that_cannot_be_synced(empty_db, path, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (tmp_path, pipe, tmp_path / "none" / "n.md"):
        with pytest.raises(NoteError):
            sync_note(empty_db, place)
    assert note_file(empty_db) == path


def test_a_missing_file_is_written_anew(empty_db, path):
    edits.set_item(empty_db, 5, True)
    path.unlink()
    assert plan_sync(empty_db, path).creates
    assert sync_note(empty_db, path).changed == [f"created {path}"]
    assert path.read_bytes() == export_note(empty_db)


def test_a_note_that_came_from_no_file_is_kept_where_it_was_exported(tracker_db, tmp_path):
    assert note_file(tracker_db) is None
    path = tmp_path / "mine.md"
    export_to_file(tracker_db, path)
    assert note_file(tracker_db) == path
    edits.set_item(tracker_db, 5, True)
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    assert len(sync_note(tracker_db, path).changed) == 2
    assert note_file(tracker_db) == path
    edits.undo(tracker_db)
    assert note_file(tracker_db) == path


def test_an_export_elsewhere_is_a_copy(empty_db, path, tmp_path):
    export_to_file(empty_db, tmp_path / "copy.md")
    assert note_file(empty_db) == path
    edits.set_item(empty_db, 5, True)
    assert sync_note(empty_db, tmp_path / "copy.md").wrote
    assert note_file(empty_db) == tmp_path / "copy.md"


def test_two_files_in_turn(empty_db, path, tmp_path):
    other = tmp_path / "other.md"
    export_to_file(empty_db, other)
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    sync_note(empty_db, path)
    _by_hand(other, b"7. [ ] FetalMind", b"7. [x] FetalMind")
    assert sync_note(empty_db, other).changed == ["item 7 done: FetalMind (if available)", f"wrote 1 change to {other}"]
    assert sync_note(empty_db, path).changed == [f"wrote 1 change to {path}"]
    assert path.read_bytes() == other.read_bytes() == export_note(empty_db)


def test_the_file_of_another_note_is_not_overwritten_by_the_one_that_came_since(empty_db, path, tmp_path):
    newer = tmp_path / "newer.md"
    newer.write_bytes(b"| Model | Status |\n|---|---|\n| Mine | TODO |\n")
    import_note(empty_db, newer.read_bytes(), str(newer), "test", path=newer)
    assert note_file(empty_db) == newer
    assert look(empty_db, path)[0].state == "file"
    assert not sync_note(empty_db, path).wrote
    assert path.read_bytes() == NOTE == export_note(empty_db)
    edits.undo(empty_db)
    assert export_note(empty_db) == newer.read_bytes()


def test_a_link_and_a_name_that_is_not_utf8(empty_db, path, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md"))
    path.rename(odd)
    link = tmp_path / "link.md"
    link.symlink_to(odd)
    import_note(empty_db, NOTE, "odd", "test", path=link)
    assert note_file(empty_db) == odd
    edits.set_item(empty_db, 5, True)
    assert sync_note(empty_db, link).wrote
    assert link.is_symlink()
    assert odd.read_bytes() == export_note(empty_db)
    assert look(empty_db, odd)[0].state == "same"


def test_look_names_the_side_that_changed(empty_db, path):
    def state() -> str:
        nonlocal stamp
        seen, stamp = look(empty_db, path, stamp)
        assert look(empty_db, path, None)[0] == seen
        assert look(empty_db, path, stamp)[0] is seen or seen.state == "unreadable"
        return seen.state

    stamp = None
    assert state() == "same"
    edits.set_item(empty_db, 5, True)
    assert state() == "panel"
    _by_hand(path, b"6. [ ] EchoVLM", b"6. [x] EchoVLM")
    assert state() == "both"
    edits.undo(empty_db)
    assert state() == "file"
    sync_note(empty_db, path)
    assert state() == "same"
    _by_hand(path, b"7. [ ] FetalMind", b"7. [x] FetalMind")
    assert state() == "file"
    path.unlink()
    assert state() == "missing"
    path.mkdir()
    assert state() == "unreadable"
    path.rmdir()
    sync_note(empty_db, path)
    assert state() == "same"


def test_a_look_at_what_stands_still_reads_no_bytes(empty_db, path):
    _, stamp = look(empty_db, path, None)
    statements: list[str] = []
    empty_db.set_trace_callback(statements.append)
    path.chmod(0o600)
    _, stamp = look(empty_db, path, stamp)
    statements.clear()
    path.read_bytes()
    look(empty_db, path, stamp)
    assert not any("notes" in text or "base" in text for text in statements)
