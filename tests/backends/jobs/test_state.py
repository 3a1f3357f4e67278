from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from backends.jobs import lock
from backends.jobs.process import Identity, boot_id, identity
from backends.jobs.state import derive
from backends.jobs.store import Attempt, Control, write_attempt, write_control


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "7"
    made.mkdir()
    write_control(made, Control(position=7.0))
    return made


def begin(folder: Path, boot: str | None = None, **fields: object) -> None:
    runner = Identity(999_999_999, 1, boot_id() if boot is None else boot)
    write_attempt(folder, Attempt(1, runner=runner, worker=runner, started=1.0, **fields))  # type: ignore[arg-type]


def finish(folder: Path, kind: str, *, scores: bool, torn: bool = False) -> None:
    (folder / "spec.json").write_text(json.dumps({"kind": kind}))
    line = json.dumps({"t": 1, "kind": "finished", "summary": {}})
    (folder / "events.jsonl").write_text('{"t": 0, "kind": "progress"}\n' + line + ("" if torn else "\n"))
    if scores:
        (folder / "scores.json").write_text(json.dumps({"scores": [], "finished": True}))


def test_queued_held_and_cancelled_before_the_start(folder: Path) -> None:
    assert derive(folder).name == "queued"
    write_control(folder, Control(position=7.0, held=True))
    assert derive(folder).name == "held"
    write_control(folder, Control(position=7.0, cancel="no"))
    assert (derive(folder).name, derive(folder).reason) == ("cancelled", "no")


def test_the_lock_decides_between_running_and_lost(folder: Path) -> None:
    descriptor = lock.take(folder / "lock")
    assert descriptor is not None
    assert derive(folder).name == "starting"
    begin(folder)
    assert derive(folder).name == "running"
    os.close(descriptor)
    assert derive(folder).name == "lost"


def test_an_exit_record_wins_over_a_lock_that_a_stray_grandchild_holds(folder: Path) -> None:
    descriptor = lock.take(folder / "lock")
    assert descriptor is not None
    begin(folder, ended=2.0, exit_code=3)
    assert (derive(folder).name, derive(folder).reason) == ("failed", "exit code 3")
    os.close(descriptor)


def test_a_reboot_is_said(folder: Path) -> None:
    begin(folder, boot="another boot")
    assert derive(folder).name == "lost"
    assert "restarted" in (derive(folder).reason or "")


@pytest.mark.parametrize(
    ("kind", "scores", "torn", "expected"),
    [
        ("eval", True, False, "done"),
        ("eval", False, False, "lost"),
        ("eval", True, True, "lost"),
        ("finetune", False, False, "done"),
        ("run", False, False, "lost"),  # not a worker of ours: its last line proves nothing
    ],
)
def test_without_an_exit_record_only_our_own_whole_result_is_done(
    folder: Path, kind: str, scores: bool, torn: bool, expected: str
) -> None:
    begin(folder)
    finish(folder, kind, scores=scores, torn=torn)
    assert derive(folder).name == expected


def test_a_resumed_run_waits_for_its_next_attempt(folder: Path) -> None:
    begin(folder, ended=2.0, exit_code=1)
    write_control(folder, Control(position=7.0, attempt=2))
    assert derive(folder).name == "queued"


def test_signals_never_reach_a_stranger() -> None:
    import signal

    from backends.jobs.process import is_alive, signal_group

    me = identity(os.getpid())
    assert me is not None and is_alive(me)
    reused = Identity(me.pid, me.start - 1, me.boot)
    assert not is_alive(reused)
    assert not signal_group(reused, signal.SIGKILL)
    assert not signal_group(Identity(me.pid, me.start, "another boot"), signal.SIGKILL)
