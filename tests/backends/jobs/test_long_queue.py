"""A long queue costs what its head costs, and nobody in it is forgotten: counted in looks and writes, not in seconds."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.jobs import lock, reconcile
from backends.jobs.dispatcher import Dispatcher
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.ingest import insert_row
from backends.jobs.planning import HEAD
from backends.jobs.process import identity
from backends.jobs.reconcile import ACTIVE_TURN, EACH_TURN, Rotas, tick
from backends.jobs.submit import submit
from db.connect import immediate
from db.home import Home
from db.runs.queries import Known, get_run, list_runs, runs_in_state

MANY = HEAD + 100
HUGE = 1 << 50


@pytest.fixture
def queued(home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put runs into the queue, each with a directory; what is handed to this machine's engine is only noted."""

    def put(numbers: range, reserve: int, **parts: object) -> None:
        with immediate(runs_conn):
            for run in numbers:
                folder = home.run_dir(run)
                (folder / "attempts").mkdir(parents=True)
                spec = {"kind": "run", "task": None, "title": "t", "command": ["true"], "created": 1.0}
                spec |= {"reserve": {"bytes": reserve, "memory": "RAM"}, **parts}
                (folder / "spec.json").write_text(json.dumps(spec))
                (folder / "control.json").write_text(json.dumps({"position": float(run)}))
                insert_row(runs_conn, run, spec, folder)

    return put


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What would have been started here."""
    found: list[int] = []

    def take(_engine: Local, orders: list[Order], _label: str) -> list[str | None]:
        found.extend(order.run for order in orders)
        return [None for _ in orders]

    monkeypatch.setattr(Local, "submit", take)
    return found


@pytest.fixture
def dispatcher(home: Home, runs_conn: sqlite3.Connection) -> Iterator[Dispatcher]:
    made = Dispatcher(home, runs_conn)
    made._record_sample()
    yield made
    made._sampler.close()


def test_a_small_job_far_behind_passes_what_cannot_start(
    dispatcher: Dispatcher, queued: Callable[..., None], started: list[int], runs_conn: sqlite3.Connection
) -> None:
    queued(range(1, MANY), HUGE)
    queued(range(MANY, MANY + 2), 1 << 20)
    dispatcher._start_what_fits()
    assert started[0] == MANY
    far, near = get_run(runs_conn, MANY - 1), get_run(runs_conn, 1)
    assert far is not None and near is not None
    assert far.reason == f"behind {HEAD} others" and "needs 1048576.0 GiB" in (near.reason or "")


def test_one_that_waits_for_another_takes_no_place_at_the_head(
    dispatcher: Dispatcher, queued: Callable[..., None], started: list[int], runs_conn: sqlite3.Connection
) -> None:
    queued(range(1, 2), HUGE)
    queued(range(2, MANY), 1 << 20, after=[1])
    queued(range(MANY, MANY + 1), 1 << 20)
    dispatcher._start_what_fits()
    assert started == [MANY]
    waits = get_run(runs_conn, 7)
    assert waits is not None and waits.reason == "after #1"


def test_a_queue_that_nothing_changes_is_not_planned_again_and_nothing_is_written(
    dispatcher: Dispatcher, queued: Callable[..., None], started: list[int], runs_conn: sqlite3.Connection
) -> None:
    queued(range(1, MANY), HUGE)
    dispatcher._start_what_fits()
    before, asked = runs_conn.total_changes, []
    runs_conn.set_trace_callback(asked.append)
    for _ in range(5):
        dispatcher._start_what_fits()
    runs_conn.set_trace_callback(None)
    assert runs_conn.total_changes == before
    assert not any("ORDER BY position, id LIMIT" in one for one in asked)
    queued(range(MANY, MANY + 1), 1 << 20)  # what is new is seen at once
    dispatcher._start_what_fits()
    assert started == [MANY]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The runs that are looked at, in its last list."""
    found: list[list[int]] = [[]]
    look = reconcile._look_at

    def noted(conn: sqlite3.Connection, home: Home, run: int, state: str, seen: int | None) -> int | None:
        found[-1].append(run)
        return look(conn, home, run, state, seen)

    monkeypatch.setattr(reconcile, "_look_at", noted)
    return found


def test_of_many_that_wait_some_are_looked_at_in_a_tick_and_all_in_turn(
    home: Home, queued: Callable[..., None], runs_conn: sqlite3.Connection, looked: list[list[int]]
) -> None:
    queued(range(1, 2 * EACH_TURN + 51), HUGE)
    tick(runs_conn, home)
    rotas = Rotas()
    for _ in range(3):
        looked.append([])
        tick(runs_conn, home, rotas)
    assert [len(one) for one in looked[1:]] == [EACH_TURN] * 3
    assert {run for one in looked[1:] for run in one} == set(range(1, 2 * EACH_TURN + 51))


def test_of_many_that_run_some_are_looked_at_in_a_tick_and_the_dead_are_found_in_turn(
    home: Home, queued: Callable[..., None], runs_conn: sqlite3.Connection, looked: list[list[int]]
) -> None:
    numbers = range(1, 2 * ACTIVE_TURN + 11)
    queued(numbers, HUGE)
    me = vars(identity(os.getpid()))
    held = [taken for run in numbers if (taken := lock.take(home.run_dir(run) / "lock")) is not None]
    for run in numbers:
        record = {"number": 1, "runner": me, "worker": me, "started": 1.0}
        (home.run_dir(run) / "attempts/1.json").write_text(json.dumps(record))
    try:
        tick(runs_conn, home)
        assert len(runs_in_state(runs_conn, "running")) == len(numbers)
        rotas = Rotas()
        for descriptor in held[-2:]:
            os.close(descriptor)
        looked.append([])
        tick(runs_conn, home, rotas)
        assert looked[-1] == list(numbers)[:ACTIVE_TURN]
        for _ in range(2):
            tick(runs_conn, home, rotas)
    finally:
        for descriptor in held[:-2]:
            os.close(descriptor)
    assert [run.id for run in runs_in_state(runs_conn, "lost")] == list(numbers)[-2:]


def test_what_has_not_changed_is_not_made_anew_for_the_panel(
    queued: Callable[..., None], runs_conn: sqlite3.Connection
) -> None:
    queued(range(1, 6), HUGE)
    queued(range(6, 7), HUGE, after=[1])
    known: Known = {}
    first = list_runs(runs_conn, known=known)
    runs_conn.execute("UPDATE runs SET reason = 'behind others' WHERE id = 2")
    runs_conn.execute("INSERT INTO dependencies(run, parent, any_end) VALUES (6, 2, 0)")
    runs_conn.execute("DELETE FROM runs WHERE id = 5")
    second = list_runs(runs_conn, known=known)
    assert second == list_runs(runs_conn) and sorted(known) == [1, 2, 3, 4, 6]
    assert (second[1].reason, second[-1].after) == ("behind others", (1, 2))
    assert [run.id for run in second if any(run is one for one in first)] == [1, 3, 4]


def test_a_chain_behind_one_that_failed_ends_in_one_tick(
    home: Home, runs_conn: sqlite3.Connection, tmp_path: Path
) -> None:
    parts = {"kind": "run", "task": None, "title": "t", "command": ["true"], "held": True}
    first = submit(home, {**parts, "after": []})
    second = submit(home, {**parts, "after": [first], "held": False})
    third = submit(home, {**parts, "after": [second], "held": False})
    (home.run_dir(first) / "control.json").write_text(json.dumps({"position": 1.0, "cancel": "not now"}))
    tick(runs_conn, home)
    assert runs_in_state(runs_conn, "queued") == []
    found = [get_run(runs_conn, run) for run in (second, third)]
    assert [run.state for run in found if run] == ["cancelled", "cancelled"]
