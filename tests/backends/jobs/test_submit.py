"""What may wait for what."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from backends.jobs.errors import QueueError
from backends.jobs.store import run_ids
from backends.jobs.submit import submit
from db.home import Home
from db.runs.rows import Run

Queue = Callable[..., int]
Until = Callable[..., Run]


def test_nothing_waits_for_what_does_not_exist(home: Home, queue_python: Queue) -> None:
    with pytest.raises(QueueError, match="no run #9"):
        queue_python("pass", after=[9])
    assert run_ids(home) == []


def test_success_of_what_ended_badly_is_not_waited_for(home: Home, queue_python: Queue, until: Until) -> None:
    failed = until(queue_python("raise SystemExit(1)")).id
    with pytest.raises(QueueError, match=f"#{failed} has failed") as refused:
        queue_python("pass", after=[failed])
    assert refused.value.hint is not None and f"--after-any {failed}" in refused.value.hint
    assert run_ids(home) == [failed]
    assert until(queue_python("pass", after=[failed], after_any=True)).state == "done"
    done = until(queue_python("pass")).id
    assert until(queue_python("pass", after=[done])).state == "done"


def test_what_could_not_be_queued_leaves_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise sqlite3.DatabaseError("disk image is malformed")

    monkeypatch.setattr("backends.jobs.submit.insert_row", fails)
    with pytest.raises(sqlite3.DatabaseError):
        submit(home, {"kind": "run", "task": None, "title": "t", "command": ["true"], "after": []})
    assert run_ids(home) == []
