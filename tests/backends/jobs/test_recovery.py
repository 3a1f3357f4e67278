"""After whatever befell the machine, one tick later the jobs are right."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.ingest import adopt, empty_index, ingest, insert_row
from backends.jobs.process import Identity, is_alive
from backends.jobs.reconcile import tick
from backends.jobs.reindex import is_damaged, reindex, set_aside
from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.queries import get_run, list_runs, messages
from db.runs.rows import Run
from tests.conftest import end_processes

Queue = Callable[..., int]
Until = Callable[..., Run]


def waiting_for(path: Path, lines: int = 50) -> str:
    """A job that writes numbered messages and then ends well when ``path`` is there."""
    return (
        "import json, os, time\n"
        'file = open(os.environ["FADA_EVENTS"], "a")\n'
        f"for n in range({lines}):\n"
        '    file.write(json.dumps({"t": 1.0, "kind": "message", "level": "info", "text": str(n)}) + "\\n")\n'
        "file.flush()\n"
        f"while not os.path.exists({str(path)!r}): time.sleep(0.05)\n"
    )


def running(run: Run) -> bool:
    return run.state == "running"


def held_run(home: Home, conn: sqlite3.Connection, **parts: Any) -> int:
    run_id = store.allocate(home)
    spec = {"kind": "eval", "task": "gt", "model": {"name": "m"}, "created": 1.0, "held": True, **parts}
    store.create(home, run_id, spec)
    adopt(conn, home, run_id)
    return run_id


def test_a_running_job_whose_directory_is_deleted_is_lost_and_the_queue_goes_on(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    run_id = queue_python(waiting_for(end))
    until(run_id, running)
    attempt = store.read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.worker is not None
    while home.run_dir(run_id).exists():  # the job may be making a file in it
        shutil.rmtree(home.run_dir(run_id), ignore_errors=True)
    run = until(run_id)
    assert (run.state, run.reason) == ("lost", "its run directory is gone")
    assert until(queue_python("pass")).state == "done"
    while is_alive(attempt.worker):  # what nobody can see or cancel any more is ended
        time.sleep(0.05)
    assert not end.exists() and not home.run_dir(run_id).exists()


def test_a_home_that_is_moved_while_a_job_runs_has_its_end(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    end, moved = tmp_path / "end", Home(tmp_path / "moved")
    bye = """file.write('{"t": 1, "kind": "message", "text": "bye"}\\n')\nfile.close()\nexit(5)"""
    run_id = queue_python(waiting_for(end) + bye)
    until(run_id, lambda run: running(run) and (home.run_dir(run_id) / "events.jsonl").stat().st_size > 0)
    home.root.rename(moved.root)
    try:
        with closing(connect(moved.runs_db)) as conn:
            tick(conn, moved)
            run = get_run(conn, run_id)
            assert run is not None and run.state == "running" and not home.root.exists()
            end.touch()
            while not run.is_over:
                tick(conn, moved)
                run = get_run(conn, run_id)
                assert run is not None
            assert (run.state, run.exit_code) == ("failed", 5)
            assert messages(conn, run_id)[-1].text == "bye"
    finally:
        end_processes(moved)


def test_a_dependant_that_is_over_stays_as_it_was_when_its_parent_and_the_index_are_gone(
    home: Home, runs_conn: sqlite3.Connection, tmp_path: Path
) -> None:
    """Its row is new and says queued until its files are in."""
    done, lost = (held_run(home, runs_conn, after=[99], held=False) for _ in range(2))
    for run_id, attempt in (
        (done, store.Attempt(1, started=1.0, ended=2.0, exit_code=0)),
        (lost, store.Attempt(1, runner=Identity(os.getpid(), 1, "b"), started=1.0)),
    ):
        (home.run_dir(run_id) / "lock").touch()
        store.write_attempt(home.run_dir(run_id), attempt)
    with immediate(runs_conn):
        empty_index(runs_conn)
    tick(runs_conn, home)
    assert {run.id: run.state for run in list_runs(runs_conn)} == {done: "done", lost: "lost"}
    assert all(store.read_control(home.run_dir(run_id)).cancel is None for run_id in (done, lost))


def test_after_a_reboot_what_ran_is_lost_and_what_waited_runs(
    home: Home, runs_conn: sqlite3.Connection, queue_python: Queue, until: Until
) -> None:
    run_id = held_run(home, runs_conn)
    folder = home.run_dir(run_id)
    before = Identity(os.getpid(), 1, "another boot")
    store.write_attempt(folder, store.Attempt(1, runner=before, worker=before, started=5.0))
    (folder / "lock").touch()
    waiting = queue_python("pass", after=[])
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and (run.state, run.reason) == ("lost", "the machine was restarted while it ran")
    assert until(waiting).state == "done"


def test_a_clock_that_moves_makes_no_nonsense(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = held_run(home, runs_conn)
    times = [1000.0, 1002.0, 1004.0, 400.0, 402.0, 404.0, 9e9, 9e9 + 2, 9e9 + 4]
    with (home.run_dir(run_id) / "events.jsonl").open("w") as file:
        for done, at in enumerate(times):
            event = {"t": at, "kind": "progress", "done": done, "total": 100, "unit": "step", "phase": "train"}
            file.write(json.dumps(event) + "\n")
            file.flush()
            ingest(runs_conn, home, run_id)
            run = get_run(runs_conn, run_id)
            assert run is not None and run.done == done and (run.rate is None or run.rate > 0)
    # Two steps a second again, soon after the last jump.
    assert run.rate is not None and 0.2 < run.rate < 0.6
    store.write_attempt(home.run_dir(run_id), store.Attempt(1, started=9e9, ended=404.0, exit_code=0))
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and run.state == "done"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Three megabytes where the fixture ``home`` will be."""
    disk = tmp_path / "home"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here: the full disk was not tried")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_is_waited_for_and_nothing_is_invented(
    small_disk: Path, home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    run_id = queue_python(waiting_for(end))
    waiting = queue_python("pass", after=[run_id])
    patience(lambda: len((home.run_dir(run_id) / "events.jsonl").read_bytes().splitlines()) == 50)
    until(run_id, running)
    fill(small_disk / "filler")
    end.touch()
    worker = store.read_attempt(home.run_dir(run_id), 1)
    assert worker is not None and worker.worker is not None
    who = worker.worker
    patience(lambda: not is_alive(who))
    with closing(connect(home.runs_db)) as conn:
        for _ in range(10):
            with suppress(sqlite3.OperationalError):
                tick(conn, home)
            run = get_run(conn, run_id)
            assert run is not None and run.state == "running"
            time.sleep(0.1)
    (small_disk / "filler").unlink()
    run = until(run_id)
    assert (run.state, run.exit_code) == ("done", 0)
    assert until(waiting).state == "done"
    with closing(connect(home.runs_db)) as conn:
        assert [one.text for one in messages(conn, run_id, 1000)] == [str(n) for n in range(50)]


def patience(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while True:
        with suppress(FileNotFoundError):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_damaged_index_is_rebuilt_while_a_job_runs(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    done = queue_python("pass")
    until(done)
    run_id = queue_python(waiting_for(end))
    until(run_id, running)
    with home.runs_db.open("r+b") as file:
        file.write(b"not a database at all" * 400)
    for side in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            home.runs_db.with_name(home.runs_db.name + side).unlink()
    assert is_damaged(home)
    assert set_aside(home).startswith("runs.db.damaged-")
    migrate(home)
    assert reindex(home) == 2
    with closing(connect(home.runs_db)) as conn:
        tick(conn, home)
        assert [run.state for run in list_runs(conn)] == ["done", "running"]
        end.touch()
        # Nobody ticks: runner and dispatcher have found the new file by themselves.
        patience(lambda: [run.state for run in list_runs(conn)] == ["done", "done"])
        assert len(messages(conn, run_id, 1000)) == 50
    assert until(queue_python("pass")).state == "done"


def test_an_unmigrated_index_harms_no_running_job(home: Home, tmp_path: Path, until: Until) -> None:
    """A job is started, and the index under it is one of an earlier version until a command migrates it."""
    import sqlite_utils

    from db.runs.schema import _first

    home.runs_db.unlink()
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        _first(sqlite_utils.Database(conn))
        conn.execute("PRAGMA user_version = 1")
    end = tmp_path / "end"
    run_id = store.allocate(home)
    command = [sys.executable, "-c", waiting_for(end)]
    spec = {"kind": "run", "task": None, "title": "t", "created": 1.0, "command": command}
    store.create(home, run_id, spec)
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        insert_row(conn, run_id, spec, home.run_dir(run_id))
    assert Local(home).submit([Order(run_id, 1, spec, 0)], "test") == [f"{run_id}.1"]
    log = home.run_dir(run_id) / "log.txt"
    patience(lambda: b"the index was not updated" in log.read_bytes())
    end.touch()
    migrate(home)
    run = until(run_id)
    assert (run.state, run.exit_code) == ("done", 0)
    with closing(connect(home.runs_db)) as conn:
        assert [one.text for one in messages(conn, run_id, 1000)] == [str(n) for n in range(50)]
