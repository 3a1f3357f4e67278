"""Tags, notes and archived runs: the truth is on disk, and a kill between the file and the row loses nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from backends.jobs import labelling, store
from backends.jobs.errors import QueueError
from backends.jobs.ingest import adopt, ingest
from backends.jobs.labelling import archive, describe, tag
from backends.jobs.labels import Labels, add_tags, read_labels, write_labels
from backends.jobs.reconcile import tick
from backends.jobs.reindex import reindex
from db.home import Home
from db.runs.due import changing, due_runs
from db.runs.queries import all_tags, get_run, list_runs, with_tags
from db.runs.rows import Run


def make_run(home: Home, conn: sqlite3.Connection, held: bool = True, over: bool = False) -> int:
    run_id = store.allocate(home)
    store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0, "held": held})
    if over:
        store.write_attempt(home.run_dir(run_id), store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
    adopt(conn, home, run_id)
    ingest(conn, home, run_id)
    return run_id


def indexed(conn: sqlite3.Connection, run_id: int) -> Run:
    run = get_run(conn, run_id)
    assert run is not None
    return run


def test_labels_are_in_the_directory_and_in_the_index(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn, over=True)
    assert tag(home, run_id, ["Paper", "night"]) == [f"#{run_id} tagged Paper night"]
    tag(home, run_id, ["paper", "seed-1"])
    tag(home, run_id, ["NIGHT"], remove=True)
    describe(home, run_id, "  the one for table 3 ")
    archive(home, [run_id])
    run = indexed(runs_conn, run_id)
    assert (run.tags, run.note, run.archived) == (("Paper", "seed-1"), "the one for table 3", True)
    stored = json.loads((home.run_dir(run_id) / "labels.json").read_text())
    assert stored == {"tags": ["Paper", "seed-1"], "note": "the one for table 3", "archived": True}
    assert (home.run_dir(run_id) / "labels.json").stat().st_mode & 0o777 == 0o600
    assert reindex(home) == 1
    assert indexed(runs_conn, run_id) == run


@pytest.mark.parametrize("bad", ["", "  ", "two words", "x" * 65, "esc\x1b[31m", "line\nbreak"])
def test_what_is_no_tag_is_refused(home: Home, runs_conn: sqlite3.Connection, bad: str) -> None:
    run_id = make_run(home, runs_conn)
    with pytest.raises(QueueError, match="a tag"):
        tag(home, run_id, ["good", bad])
    assert indexed(runs_conn, run_id).tags == ()


def test_lists_leave_archived_runs_out(home: Home, runs_conn: sqlite3.Connection) -> None:
    old, new = make_run(home, runs_conn, over=True), make_run(home, runs_conn, over=True)
    archive(home, [old])
    tag(home, old, ["a", "b"])
    tag(home, new, ["B"])
    assert [run.id for run in list_runs(runs_conn, archived=False)] == [new]
    assert [run.id for run in list_runs(runs_conn, limit=1, archived=False)] == [new]
    everything = list_runs(runs_conn)
    assert [run.id for run in with_tags(everything, ["B"])] == [old, new]
    assert [run.id for run in with_tags(everything, ["b", "A"])] == [old]
    assert all_tags(runs_conn) == {"B": 1, "a": 1, "b": 1}
    archive(home, [old], archived=False)
    assert [run.id for run in list_runs(runs_conn, archived=False)] == [old, new]


def test_a_run_that_is_not_over_is_not_archived_and_then_none_is(home: Home, runs_conn: sqlite3.Connection) -> None:
    over, held = make_run(home, runs_conn, over=True), make_run(home, runs_conn)
    with pytest.raises(QueueError, match=f"#{held} is held"):
        archive(home, [over, held])
    assert not indexed(runs_conn, over).archived


def test_a_kill_between_the_file_and_the_row_is_made_good_by_the_next_tick(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(folder: Path, labels: Labels) -> None:
        write_labels(folder, labels)
        raise Killed

    run_id = make_run(home, runs_conn, over=True)
    monkeypatch.setattr(labelling, "write_labels", die)
    with pytest.raises(Killed):
        tag(home, run_id, ["kept"])
    assert indexed(runs_conn, run_id).tags == ()
    assert due_runs(runs_conn) == [run_id]
    tick(runs_conn, home)
    assert indexed(runs_conn, run_id).tags == ("kept",)
    assert due_runs(runs_conn) == []


def test_a_change_whose_note_another_tick_cleared_makes_it_again(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn, over=True)
    with changing(runs_conn, run_id):
        runs_conn.execute("DELETE FROM due")
    with pytest.raises(RuntimeError), changing(runs_conn, run_id):
        raise RuntimeError
    assert due_runs(runs_conn) == [run_id]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"tags": "x", "note": 3, "archived": "yes"}', '{"tags": [1, "", "ok", "ok"]}']
)
def test_damaged_labels_count_as_not_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    assert read_labels(tmp_path) in (Labels(), Labels(tags=("ok",)))


def test_a_run_without_a_directory_is_said(home: Home, runs_conn: sqlite3.Connection) -> None:
    with pytest.raises(QueueError, match="no run #9"):
        tag(home, 9, ["x"])
    run_id = make_run(home, runs_conn, over=True)
    home.run_dir(run_id).rename(home.root / "away")
    with pytest.raises(QueueError, match="no directory"):
        describe(home, run_id, "x")


def test_one_spelling_of_a_tag_is_one_tag() -> None:
    assert add_tags(Labels(), ["é", "é"]).tags == ("é",)
