"""A runner that ends before it begins is tried again ever more slowly, or left to the program that replaced this one."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from backends.jobs import store
from backends.jobs.code import Code
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.starts import TRIES, Replaced, Starts
from db.home import Home


def test_code_that_is_touched_replaced_or_removed_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ours_for_a_test.py"
    path.write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("ours_for_a_test")
    code = Code("ours_for_a_test")
    assert not code.replaced()
    os.utime(path, ns=(1, 1))
    assert code.replaced() and not Code("ours_for_a_test").replaced()
    path.unlink()
    assert code.replaced()
    del sys.modules["ours_for_a_test"]


def test_what_does_not_begin_waits_longer_each_time_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("backends.jobs.starts.time.monotonic", lambda: now)
    starts = Starts()
    for _ in range(TRIES):
        assert starts.waits(7, 1) is None
        starts.note(7, 1)
    assert "fada log 7" in (starts.waits(7, 1) or "") and starts.waits(7, 2) is None
    pauses = []
    for _ in range(12):
        begin = now
        while starts.waits(7, 1):
            now += 0.5
        pauses.append(now - begin)
        starts.note(7, 1)
    assert pauses == sorted(pauses) and pauses[0] <= 1.0 and pauses[-1] == 60.0


def test_what_does_not_begin_is_left_to_the_program_that_replaced_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts()
    monkeypatch.setattr(Code, "replaced", lambda self: True)
    for _ in range(TRIES):
        assert starts.waits(7, 1) is None  # while it begins, there is no need
        starts.note(7, 1)
    with pytest.raises(Replaced):
        starts.waits(7, 1)


def test_a_queued_run_whose_directory_is_gone_ends_no_dispatcher(home: Home) -> None:
    assert Local(home).submit([Order(41, 1, {}, 0)], "test") == [None]


def test_what_a_newer_version_asked_of_a_run_stays(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = home.run_dir(store.allocate(home))
    (folder / "control.json").write_text(json.dumps({"position": 1.0, "asked_in_2030": [1]}))
    store.change_control(folder, held=True)
    written = json.loads((folder / "control.json").read_text())
    assert written["asked_in_2030"] == [1] and written["held"] is True
