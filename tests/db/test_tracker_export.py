from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from db.tracker.edits import set_item, undo
from db.tracker.errors import NoteConflict, NoteError
from db.tracker.export import export_note, export_to_file
from db.tracker.importer import default_note, import_note


def _refused(conn: sqlite3.Connection, path: Path) -> NoteConflict:
    """The conflict of an export that must leave the file, its folder and the database as they are."""
    before = (path.read_bytes(), path.stat().st_ino, sorted(path.parent.iterdir()), list(conn.iterdump()))
    with pytest.raises(NoteConflict) as caught:
        export_to_file(conn, path)
    assert (path.read_bytes(), path.stat().st_ino, sorted(path.parent.iterdir()), list(conn.iterdump())) == before
    return caught.value


def test_a_new_file_and_an_empty_one_are_written_and_remembered(tracker_db, tmp_path):
    (tmp_path / "empty.md").touch()
    for name in ("new.md", "empty.md"):
        assert export_to_file(tracker_db, tmp_path / name) == len(default_note())
        assert (tmp_path / name).read_bytes() == default_note()
    rows = {row["path"]: row["sha256"] for row in tracker_db.execute("SELECT path, sha256 FROM written")}
    digest = hashlib.sha256(default_note()).hexdigest()
    assert rows == {str(tmp_path.resolve() / name): digest for name in ("new.md", "empty.md")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.md", "new.md"]


def test_what_was_imported_or_written_last_may_be_replaced(tracker_db, tmp_path):
    path = tmp_path / "n.md"
    path.write_bytes(default_note())
    for number in (1, 2):
        set_item(tracker_db, number, True)
        export_to_file(tracker_db, path)
        assert path.read_bytes() == export_note(tracker_db)
    first_written = tmp_path / "copy.md"
    undo(tracker_db)
    first_written.write_bytes(export_note(tracker_db))
    export_to_file(tracker_db, first_written)
    export_to_file(tracker_db, path)
    assert path.read_bytes() == first_written.read_bytes()


@pytest.mark.parametrize("data", [b"x", b"\n", b"\x00\xff", default_note() + b"\n", default_note()[:-1]])
def test_anything_else_is_a_conflict(tracker_db, tmp_path, data):
    path = tmp_path / "n.md"
    path.write_bytes(data)
    set_item(tracker_db, 1, True)
    error = _refused(tracker_db, path)
    assert error.where == str(path)
    assert "imported" in error.message
    export_to_file(tracker_db, path, force=True)
    assert path.read_bytes() == export_note(tracker_db)
    set_item(tracker_db, 2, True)
    export_to_file(tracker_db, path)


def test_only_the_last_export_to_that_place_counts(tracker_db, tmp_path):
    path, other = tmp_path / "n.md", tmp_path / "other.md"
    set_item(tracker_db, 1, True)
    export_to_file(tracker_db, path)
    older = path.read_bytes()
    other.write_bytes(older)
    set_item(tracker_db, 2, True)
    assert "imported" in _refused(tracker_db, other).message
    export_to_file(tracker_db, path)
    set_item(tracker_db, 3, True)
    path.write_bytes(older)
    assert "changed after fada wrote it" in _refused(tracker_db, path).message


def test_a_note_whose_import_was_taken_back_stays(tracker_db, tmp_path):
    path = tmp_path / "mine.md"
    path.write_bytes(b"| Model |\n|---|\n| Mine |\n")
    import_note(tracker_db, path.read_bytes(), "mine.md", "test")
    undo(tracker_db)
    _refused(tracker_db, path)


def test_a_link_means_the_file_that_it_points_to(tracker_db, tmp_path):
    path, link = tmp_path / "n.md", tmp_path / "link.md"
    link.symlink_to(path)
    set_item(tracker_db, 1, True)
    export_to_file(tracker_db, link)
    set_item(tracker_db, 2, True)
    export_to_file(tracker_db, path)
    assert link.is_symlink()
    path.write_text("by hand")
    assert _refused(tracker_db, link).where == str(link)


def test_an_edit_saved_while_the_note_is_flushed_stays(tracker_db, tmp_path, at_flush):
    path = tmp_path / "n.md"
    path.write_bytes(default_note())
    set_item(tracker_db, 1, True)
    at_flush(lambda: path.write_text("saved meanwhile"))
    with pytest.raises(NoteConflict):
        export_to_file(tracker_db, path)
    assert path.read_text() == "saved meanwhile"
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.md"]
    assert tracker_db.execute("SELECT count(*) FROM written").fetchone()[0] == 0


def test_a_failed_write_is_not_remembered(tracker_db, tmp_path):
    with pytest.raises(NoteError, match="no such folder"):
        export_to_file(tracker_db, tmp_path / "none" / "n.md")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(NoteError, match="loop"):
        export_to_file(tracker_db, tmp_path / "loop")
    assert tracker_db.execute("SELECT count(*) FROM written").fetchone()[0] == 0


def test_a_name_that_is_not_utf8(tracker_db, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md"))
    set_item(tracker_db, 1, True)
    export_to_file(tracker_db, path)
    set_item(tracker_db, 2, True)
    export_to_file(tracker_db, path)
    assert path.read_bytes() == export_note(tracker_db)


def test_a_pipe_is_written_to_without_a_transaction(tracker_db, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    statements: list[str] = []
    tracker_db.set_trace_callback(statements.append)
    export_to_file(tracker_db, pipe)
    reader.join()
    assert got == [default_note()]
    assert pipe.is_fifo()
    assert [text.split()[0] for text in statements] == ["SELECT"]
