"""What lies on the disk, and which checkpoints may go."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from backends.jobs import queue, removal, store
from backends.jobs.disk import (
    WHOLE,
    bytes_of,
    checkpoints,
    disk_use,
    left_bytes,
    parse_keep,
    prunable_bytes,
    prune,
    set_aside,
    sweep,
    to_prune,
)
from backends.jobs.errors import QueueError
from backends.jobs.ingest import adopt, ingest
from backends.jobs.lock import take
from backends.jobs.reconcile import tick
from db.home import Home
from db.runs.queries import get_run

BLOCK = 1 << 16


def make_run(home: Home, conn: sqlite3.Connection, kind: str = "finetune", over: bool = True) -> int:
    run_id = store.allocate(home)
    spec = {"kind": kind, "task": None, "model": {"name": "m"}, "created": 1.0, "held": True}
    store.create(home, run_id, spec)
    if over:
        store.write_attempt(home.run_dir(run_id), store.Attempt(1, started=1.0, ended=2.0, exit_code=1))
    adopt(conn, home, run_id)
    ingest(conn, home, run_id)
    return run_id


def write(path: Path, blocks: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * BLOCK * blocks)


def with_checkpoints(home: Home, conn: sqlite3.Connection, run_id: int, scores: dict[int, float | None]) -> None:
    folder = home.run_dir(run_id)
    with (folder / "events.jsonl").open("a") as file:
        for step, score in scores.items():
            write(folder / "checkpoints" / f"checkpoint-{step}" / "model.safetensors")
            (folder / "checkpoints" / f"checkpoint-{step}" / WHOLE).touch()
            if score is not None:
                event = {"t": 1.0, "kind": "metric", "name": "eval_exact", "step": step, "value": score}
                file.write(json.dumps(event) + "\n")
    ingest(conn, home, run_id)


def test_kinds_and_runs_add_up_to_what_lies_there(home: Home, runs_conn: sqlite3.Connection) -> None:
    big, small = make_run(home, runs_conn), make_run(home, runs_conn, "eval")
    with_checkpoints(home, runs_conn, big, {5: 0.5})
    write(home.run_dir(big) / "adapter" / "adapter_model.safetensors", 3)
    write(home.run_dir(small) / "predictions.jsonl", 2)
    write(home.run_dir(small) / "log.txt")
    write(home.root / "tiny-model" / "weights", 2)
    use = disk_use(runs_conn, home)
    assert [one.run for one in use.runs] == [big, small]
    assert use.runs[0].kinds["weights"] >= 3 * BLOCK and use.runs[0].kinds["checkpoints"] >= BLOCK
    assert use.runs[1].kinds["predictions"] == 2 * BLOCK and use.runs[1].kinds["logs"] >= BLOCK
    assert use.kinds["databases"] > 0 and use.kinds["other"] >= 2 * BLOCK
    folders = sum(path.lstat().st_blocks * 512 for path in (home.root, home.runs))
    assert use.total == bytes_of(home.root) - folders


def test_holes_take_nothing_and_hard_links_count_once(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    write(tmp_path / "file")
    os.link(tmp_path / "file", tmp_path / "again")
    (tmp_path / "away").symlink_to("/")
    assert BLOCK <= bytes_of(tmp_path) < 4 * BLOCK
    assert bytes_of(tmp_path / "absent") == 0


def test_pruning_keeps_the_best_and_the_last(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {10: 0.5, 20: 0.9, 30: 0.7, 40: 0.6})
    folder = home.run_dir(run_id)
    assert [path.name for path in to_prune(runs_conn, home, run_id)] == ["checkpoint-10", "checkpoint-30"]
    assert disk_use(runs_conn, home).runs[0].prunable >= 2 * BLOCK
    assert prune(runs_conn, home, run_id) >= 2 * BLOCK
    assert list(checkpoints(folder)) == [20, 40]
    assert prune(runs_conn, home, run_id) == 0
    prune(runs_conn, home, run_id, parse_keep("best"))
    assert list(checkpoints(folder)) == [20]
    prune(runs_conn, home, run_id, parse_keep("none"))
    assert list(checkpoints(folder)) == []


def test_without_held_out_scores_the_newest_is_the_best(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {9: None, 10: None, 100: None})
    prune(runs_conn, home, run_id)
    assert list(checkpoints(home.run_dir(run_id))) == [100]


def test_a_run_that_is_not_over_is_left_alone(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {1: 0.1, 2: 0.2})
    store.change_control(home.run_dir(run_id), attempt=2)  # resumed, and the index does not know it yet
    assert prune(runs_conn, home, run_id, ()) == 0
    waiting = make_run(home, runs_conn, over=False)
    with_checkpoints(home, runs_conn, waiting, {1: 0.1, 2: 0.2})
    assert prune(runs_conn, home, waiting, ()) == 0
    assert list(checkpoints(home.run_dir(run_id))) == list(checkpoints(home.run_dir(waiting))) == [1, 2]


def test_a_checkpoint_that_was_not_written_to_its_end_is_never_the_one_that_is_kept(
    home: Home, runs_conn: sqlite3.Connection
) -> None:
    run_id = make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {10: 0.5, 20: 0.4, 30: 0.9})
    found = checkpoints(home.run_dir(run_id))
    (found[30] / WHOLE).unlink()
    assert to_prune(runs_conn, home, run_id) == [found[30]]
    assert to_prune(runs_conn, home, run_id, ("last",)) == [found[10], found[30]]
    prune(runs_conn, home, run_id)
    assert list(checkpoints(home.run_dir(run_id))) == [10, 20]


def test_a_checkpoint_that_another_run_evaluates_is_kept(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {1: 0.1, 10: 0.1, 2: 0.2, 3: 0.9})
    user = store.allocate(home)
    source = str(checkpoints(home.run_dir(run_id))[1])
    store.create(home, user, {"kind": "eval", "model": {"name": "m", "source": source}, "created": 1.0, "held": True})
    adopt(runs_conn, home, user)
    prune(runs_conn, home, run_id, ())
    assert list(checkpoints(home.run_dir(run_id))) == [1]


def test_what_would_be_freed_is_what_is_freed_also_after_a_kill(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id, gone = make_run(home, runs_conn), make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {1: 0.1, 2: 0.2, 3: 0.3})
    write(home.run_dir(gone) / "log.txt")
    set_aside(checkpoints(home.run_dir(run_id))[1])
    set_aside(set_aside(home.run_dir(gone)))
    use = disk_use(runs_conn, home)
    assert use.left >= BLOCK and use.prunable == use.left + prunable_bytes(runs_conn, home, run_id)
    assert use.prunable == prune(runs_conn, home, run_id) + sweep(home)
    assert disk_use(runs_conn, home).prunable == 0


def test_what_a_killed_queueing_left_is_swept_and_nothing_else(home: Home) -> None:
    """Old and without a spec goes; one that is being made, runs, or has more than that stays."""
    folders = {name: home.run_dir(store.allocate(home)) for name in ("old", "new", "run", "events", "held", "attempt")}
    for name, folder in folders.items():
        (folder / "attempts").mkdir()
        (folder / "control.json").write_text("{}")
        (folder / ".fada-0011.tmp").write_text("{")
        more = {"run": "spec.json", "events": "events.jsonl", "attempt": "attempts/1.json", "held": "lock"}.get(name)
        if more:
            (folder / more).write_text("{}")
        for path in (*folder.iterdir(), folder) if name != "new" else ():
            os.utime(path, (1.0, 1.0))
    lock = take(folders["held"] / "lock")
    assert lock is not None
    try:
        assert left_bytes(home) == bytes_of(folders["old"])
        assert sweep(home) > 0 and left_bytes(home) == 0
    finally:
        os.close(lock)
    assert [name for name, folder in folders.items() if not folder.exists()] == ["old"]
    assert store.allocate(home) == len(folders) + 1


def test_what_a_killed_removal_left_is_swept(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_run(home, runs_conn)
    with_checkpoints(home, runs_conn, run_id, {1: 0.1, 2: 0.2})
    set_aside(checkpoints(home.run_dir(run_id))[1])
    assert list(checkpoints(home.run_dir(run_id))) == [2]
    assert prune(runs_conn, home, run_id) >= BLOCK
    set_aside(home.run_dir(run_id))
    assert sweep(home) >= BLOCK and sweep(home) == 0
    assert store.run_ids(home) == []


@pytest.mark.parametrize("text", ["", "first", "best,none", ","])
def test_keep_is_checked(text: str) -> None:
    with pytest.raises(QueueError, match="--keep"):
        parse_keep(text)


def test_a_run_that_was_resumed_meanwhile_is_not_removed(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = make_run(home, runs_conn)
    real = removal.ingest

    def ingest_then_resume(conn: sqlite3.Connection, where: Home, number: int) -> str | None:
        state = real(conn, where, number)
        store.change_control(where.run_dir(number), attempt=2)
        return state

    monkeypatch.setattr(removal, "ingest", ingest_then_resume)
    with pytest.raises(QueueError, match="is not over"):
        queue.remove(home, run_id)
    assert home.run_dir(run_id).is_dir() and get_run(runs_conn, run_id) is not None


def test_a_removal_that_is_killed_leaves_nothing_that_looks_whole(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = make_run(home, runs_conn)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(removal, "forget", killed)  # between the renaming and the commit
        with pytest.raises(Killed):
            queue.remove(home, run_id)
    assert not home.run_dir(run_id).exists()
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and (run.state, run.reason) == ("lost", "its run directory is gone")
    assert queue.remove(home, run_id) and sweep(home) > 0
    assert get_run(runs_conn, run_id) is None
