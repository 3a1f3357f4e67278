"""A runner is killed: what it would have done for its job, whoever ticks does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backends.jobs import queue
from backends.jobs.orphan import processes_of
from backends.jobs.process import Identity, identity, is_alive
from backends.jobs.store import Attempt, read_attempt, write_attempt
from db.home import Home
from db.runs.rows import Run

Queue = Callable[..., int]
Until = Callable[..., Run]

KEEPS_THE_LOCK = """
import os, time
if os.fork() == 0:
    os.setsid()
    open("PIDS.tmp", "w").write(f"{os.getppid()} {os.getpid()}"); os.rename("PIDS.tmp", "PIDS")
time.sleep(300)
"""
LETS_IT_GO = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
open("PIDS.tmp", "w").write(f"{os.getpid()} {child.pid}"); os.rename("PIDS.tmp", "PIDS")
time.sleep(300)
"""


def patience(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def attempt_of(home: Home, run_id: int) -> Attempt:
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.runner is not None
    return attempt


def family(home: Home, queue_python: Queue, until: Until, code: str, tmp_path: Path) -> tuple[int, list[Identity]]:
    """A run whose runner was killed, and who is left of it: the worker and its child."""
    pids = tmp_path / "pids"
    run_id = queue_python(code.replace("PIDS", str(pids)))
    until(run_id, lambda run: run.state == "running" and pids.exists())
    os.kill(attempt_of(home, run_id).runner.pid, signal.SIGKILL)  # type: ignore[union-attr]
    found = [identity(int(word)) for word in pids.read_text().split()]
    return run_id, [who for who in found if who is not None]


@pytest.mark.parametrize("code", [KEEPS_THE_LOCK, LETS_IT_GO])
def test_what_a_worker_leaves_is_ended_though_its_runner_is_dead(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path, code: str
) -> None:
    run_id, (worker, child) = family(home, queue_python, until, code, tmp_path)
    os.kill(worker.pid, signal.SIGKILL)
    assert until(run_id).state == "lost"
    patience(lambda: not is_alive(child))


@pytest.mark.parametrize("code", [KEEPS_THE_LOCK, LETS_IT_GO])
def test_all_of_an_orphan_is_cancelled(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path, code: str
) -> None:
    run_id, (worker, child) = family(home, queue_python, until, code, tmp_path)
    queue.cancel(home, run_id, "enough")
    assert until(run_id).state == "cancelled"
    patience(lambda: not is_alive(worker) and not is_alive(child))


def test_a_worker_that_its_runner_did_not_write_down_is_found(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    """The runner is killed between starting the worker and writing down which process it is."""
    run_id, (worker, child) = family(home, queue_python, until, LETS_IT_GO, tmp_path)
    patience(lambda: not is_alive(attempt_of(home, run_id).runner))  # type: ignore[arg-type]
    write_attempt(home.run_dir(run_id), replace(attempt_of(home, run_id), worker=None))
    until(run_id, lambda run: run.state == "running")
    assert attempt_of(home, run_id).worker == worker
    queue.cancel(home, run_id)
    assert until(run_id).state == "cancelled"
    patience(lambda: not is_alive(child))


def test_those_who_only_look_at_the_lock_are_no_part_of_the_run(home: Home, tmp_path: Path) -> None:
    folder = home.run_dir(1)
    folder.mkdir()
    (folder / "lock").touch()
    code = "import os, sys, time; os.open(sys.argv[1], int(sys.argv[2])); print(1, flush=True); time.sleep(300)"
    started = []
    for flags in (os.O_RDONLY, os.O_RDWR):
        words = [sys.executable, "-c", code, str(folder / "lock"), str(flags)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE))
    told = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(300)"]
    for run in (1, 11):
        env = {"FADA_EVENTS": str(home.run_dir(run) / "events.jsonl")}
        started.append(subprocess.Popen(told, stdout=subprocess.PIPE, env=env))
    try:
        for process in started:
            assert process.stdout is not None and process.stdout.readline()
        assert {who.pid for who in processes_of(folder)} == {started[1].pid, started[2].pid}
    finally:
        for process in started:
            process.kill()
            process.communicate()
