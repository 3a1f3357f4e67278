"""What a tick looks at: runs that are not over and what changed, however long the history is."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable

import pytest

from backends.jobs import scan, store
from backends.jobs.reconcile import tick, work_left
from db.connect import immediate
from db.home import Home
from db.runs.due import due_runs, mark_due
from db.runs.queries import active_runs, get_run, list_runs

LONG_AGO = 10**18


def settle(home: Home) -> None:
    """As if the last directory had been made long ago."""
    os.utime(home.runs, ns=(LONG_AGO, LONG_AGO))


def make_directory(home: Home, held: bool = True) -> int:
    run_id = store.allocate(home)
    store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0, "held": held})
    return run_id


def add_history(conn: sqlite3.Connection, first: int, count: int) -> None:
    with immediate(conn):
        conn.executemany(
            "INSERT INTO runs(id, kind, model, state, attempt, created, position, exclusive, spec) "
            "VALUES (?, 'run', 't', 'done', 1, 1.0, ?, 0, ?)",
            [(run_id, float(run_id), json.dumps({"kind": "run"})) for run_id in range(first, first + count)],
        )
        conn.executemany(
            "INSERT INTO dependencies(run, parent, any_end) VALUES (?,?,0)",
            [(run_id, run_id - 1) for run_id in range(first + 1, first + count)],
        )


def steps_of(conn: sqlite3.Connection, work: Callable[[], object]) -> int:
    """What SQLite's virtual machine did for it, in tens of instructions."""
    ticks = 0

    def count() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    conn.set_progress_handler(count, 10)
    try:
        work()
    finally:
        conn.set_progress_handler(None, 0)
    return ticks


def test_a_tick_costs_the_same_after_thousands_of_runs(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_directory(home)
    works: dict[str, Callable[[], object]] = {
        "tick": lambda: tick(runs_conn, home),
        "work_left": lambda: work_left(runs_conn),
        "active": lambda: active_runs(runs_conn),
        "list": lambda: list_runs(runs_conn, limit=50, archived=False),
    }
    add_history(runs_conn, 100, 60)
    settle(home)
    tick(runs_conn, home)
    before = {name: steps_of(runs_conn, work) for name, work in works.items()}
    add_history(runs_conn, 1000, 5000)

    def never(_home: Home) -> list[int]:
        raise AssertionError("the whole folder was listed")

    monkeypatch.setattr(scan, "run_ids", never)
    after = {name: steps_of(runs_conn, work) for name, work in works.items()}
    assert all(after[name] <= 2 * before[name] + 20 for name in works), (before, after)


def test_a_folder_that_was_put_back_is_found(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = make_directory(home)
    home.run_dir(run_id).rename(home.root / "away")
    settle(home)
    tick(runs_conn, home)
    assert get_run(runs_conn, run_id) is None
    (home.root / "away").rename(home.run_dir(run_id))
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and run.state == "held"


def test_a_run_whose_maker_was_killed_before_the_row_is_found_though_the_folder_was_listed(
    home: Home, runs_conn: sqlite3.Connection
) -> None:
    run_id = store.allocate(home)
    settle(home)
    tick(runs_conn, home)
    assert due_runs(runs_conn) == [run_id]
    tick(runs_conn, home)
    assert get_run(runs_conn, run_id) is None and due_runs(runs_conn) == [run_id]
    store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0, "held": True})
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and run.state == "held" and due_runs(runs_conn) == []


def test_a_half_made_run_that_was_deleted_is_forgotten(home: Home, runs_conn: sqlite3.Connection) -> None:
    run_id = store.allocate(home)
    settle(home)
    tick(runs_conn, home)
    shutil.rmtree(home.run_dir(run_id))
    tick(runs_conn, home)
    assert due_runs(runs_conn) == []


def test_a_clock_that_was_set_back_hides_no_run(home: Home, runs_conn: sqlite3.Connection) -> None:
    tomorrow = 2 * 10**18
    os.utime(home.runs, ns=(tomorrow, tomorrow))
    tick(runs_conn, home)
    run_id = make_directory(home)
    os.utime(home.runs, ns=(tomorrow, tomorrow))
    tick(runs_conn, home)
    assert get_run(runs_conn, run_id) is not None


def test_what_is_due_is_taken_in_though_it_is_over(home: Home, runs_conn: sqlite3.Connection) -> None:
    """A resumption that was killed after control.json and before the row."""
    run_id = make_directory(home, held=False)
    folder = home.run_dir(run_id)
    store.write_attempt(folder, store.Attempt(1, started=1.0, ended=2.0, exit_code=1))
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and run.state == "failed"
    store.change_control(folder, attempt=2)
    with immediate(runs_conn):
        mark_due(runs_conn, [run_id])
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and run.state == "queued" and due_runs(runs_conn) == []
