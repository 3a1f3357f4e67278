"""A long queue costs what its head costs, and nobody in it is forgotten: counted in looks and writes, not in seconds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.jobs import reconcile
from backends.jobs.dispatcher import HEAD, Dispatcher
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.ingest import insert_row
from backends.jobs.reconcile import EACH_TURN, Rota, tick
from backends.jobs.submit import submit
from db.connect import immediate
from db.home import Home
from db.runs.queries import get_run, runs_in_state

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


def test_of_many_that_wait_some_are_looked_at_in_a_tick_and_all_in_turn(
    home: Home, queued: Callable[..., None], runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(range(1, 2 * EACH_TURN + 51), HUGE)
    tick(runs_conn, home)
    looked: list[list[int]] = []
    look = reconcile._look_at

    def noted(conn: sqlite3.Connection, home: Home, run: int, state: str, seen: int | None) -> int | None:
        looked[-1].append(run)
        return look(conn, home, run, state, seen)

    monkeypatch.setattr(reconcile, "_look_at", noted)
    rota = Rota()
    for _ in range(3):
        looked.append([])
        tick(runs_conn, home, rota)
    assert [len(one) for one in looked] == [EACH_TURN] * 3
    assert {run for one in looked for run in one} == set(range(1, 2 * EACH_TURN + 51))


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
