"""Files of a run directory that were damaged, or written by hand: that run is right or lost, all others go on."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.events import EventWriter
from backends.jobs.ingest import adopt
from backends.jobs.process import Identity, boot_id
from backends.jobs.reconcile import tick
from backends.jobs.reindex import reindex
from db.home import Home
from db.runs.queries import get_run, list_runs, messages
from db.runs.rows import Run

Queue = Callable[..., int]
Until = Callable[..., Run]

NONSENSE: tuple[Any, ...] = (b"", b"\x00\xff garbage", b"[" * 100_000, b"[1, 2]", b"null", b'{"a": {"b": [1e999]}}')


def made(home: Home, conn: sqlite3.Connection, **parts: Any) -> int:
    run_id = store.allocate(home)
    store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0, **parts})
    adopt(conn, home, run_id)
    return run_id


def ended(home: Home, conn: sqlite3.Connection) -> int:
    run_id = made(home, conn)
    (home.run_dir(run_id) / "lock").touch()
    runner = Identity(os.getpid(), 1, boot_id())
    for number in (1, 2):
        attempt = store.Attempt(number, runner=runner, worker=runner, started=1.0, ended=2.0, exit_code=2 - number)
        store.write_attempt(home.run_dir(run_id), attempt)
    store.change_control(home.run_dir(run_id), attempt=2)
    return run_id


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("name", ["spec.json", "control.json", "attempts/2.json", "labels.json", "scores.json"])
def test_a_damaged_file_stops_nobody(home: Home, runs_conn: sqlite3.Connection, name: str, text: bytes) -> None:
    bad, good = ended(home, runs_conn), made(home, runs_conn, held=True)
    (home.run_dir(bad) / name).write_bytes(text)
    reindex(home)
    tick(runs_conn, home)
    states = {run.id: run.state for run in list_runs(runs_conn)}
    assert states.pop(good) == "held"
    # What has begun is never taken for something that has yet to begin.
    assert states == ({} if name == "spec.json" else {bad: "lost" if name == "attempts/2.json" else "done"})


@pytest.mark.parametrize("key", [*store.Control.__dataclass_fields__, *store.Attempt.__dataclass_fields__])
def test_no_value_stops_anybody(home: Home, runs_conn: sqlite3.Connection, key: str) -> None:
    run_id = ended(home, runs_conn)
    for value in ("x", -1, 1.5, True, [], [[1]], {}, {"pid": "a"}, None, float("nan"), float("inf")):
        for name in ("control.json", "attempts/2.json"):
            path = home.run_dir(run_id) / name
            before = path.read_text()
            path.write_text(json.dumps(json.loads(before) | {key: value}))
            reindex(home)
            tick(runs_conn, home)
            (run,) = list_runs(runs_conn)
            assert run.id == run_id
            path.write_text(before)
    tick(runs_conn, home)
    reindex(home)
    run = list_runs(runs_conn)[0]
    assert (run.state, run.attempt) == ("done", 2)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", ["events.jsonl", "predictions.jsonl"])
def test_what_is_no_file_is_said_and_holds_up_nobody(
    home: Home, runs_conn: sqlite3.Connection, name: str, make: Callable[[Path], None]
) -> None:
    run_id = ended(home, runs_conn)
    make(home.run_dir(run_id) / name)
    tick(runs_conn, home)
    run = get_run(runs_conn, run_id)
    assert run is not None and run.state == "done"
    assert [one.text.split(" is ")[0] for one in messages(runs_conn, run_id)] == [name]


def test_a_run_that_cannot_be_looked_at_holds_up_no_other(
    home: Home, queue_python: Queue, until: Until, runs_conn: sqlite3.Connection
) -> None:
    bad = made(home, runs_conn)
    (home.run_dir(bad) / "lock").mkdir()
    assert until(queue_python("pass")).state == "done"
    run = get_run(runs_conn, bad)
    assert run is not None and run.reason is not None and "cannot be used" in run.reason


def test_an_event_that_a_full_disk_cut_does_not_swallow_the_next(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made(home, runs_conn, held=True)
    writer = EventWriter(home.run_dir(run_id) / "events.jsonl")
    whole = os.write

    def half(descriptor: int, data: bytes) -> int:
        if b"second" not in data:
            return whole(descriptor, data)
        whole(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    writer.message("info", "first")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        with pytest.raises(OSError):
            writer.message("info", "second")
    writer.message("info", "third")
    writer.close()
    tick(runs_conn, home)
    assert [one.text for one in messages(runs_conn, run_id) if one.level == "info"] == ["first", "third"]
