"""Pausing stops everything of a job and nothing else, and gives nothing back."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from backends.jobs import queue
from backends.jobs.errors import QueueError
from backends.jobs.reindex import reindex
from backends.jobs.store import read_attempt
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run

Queue = Callable[..., int]
Until = Callable[..., Run]

FAMILY = f"""
import os, subprocess, time
child = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(300)"], start_new_session=True)
open("PIDS.tmp", "w").write(f"{{os.getpid()}} {{child.pid}}"); os.rename("PIDS.tmp", "PIDS")
while not os.path.exists("END"): time.sleep(0.05)
"""


@pytest.fixture
def family(home: Home, queue_python: Queue, until: Until, tmp_path: Path) -> tuple[int, list[psutil.Process]]:
    """A running job: a worker and a child of it in a session of its own."""
    run_id = queue_python(FAMILY.replace("PIDS", str(tmp_path / "pids")).replace("END", str(tmp_path / "end")))
    until(run_id, lambda run: run.state == "running" and (tmp_path / "pids").exists())
    return run_id, [psutil.Process(int(word)) for word in (tmp_path / "pids").read_text().split()]


def states(processes: list[psutil.Process]) -> set[str]:
    return {process.status() for process in processes}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_all_processes_stop_and_go_on(
    home: Home, family: tuple[int, list[psutil.Process]], until: Until, tmp_path: Path
) -> None:
    run_id, processes = family
    (said,) = queue.pause(home, run_id)
    assert "frees no VRAM" in said
    assert until(run_id, lambda run: True).state == "paused"
    assert states(processes) == {psutil.STATUS_STOPPED}
    with pytest.raises(QueueError, match="paused"):
        queue.pause(home, run_id)
    assert reindex(home) == 1  # the directory knows
    assert until(run_id, lambda run: True).state == "paused"
    assert queue.resume(home, run_id) == run_id
    assert until(run_id, lambda run: True).state == "running"
    assert psutil.STATUS_STOPPED not in states(processes)
    (tmp_path / "end").touch()
    run = until(run_id)
    assert (run.state, run.attempt) == ("done", 1)
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.paused is None and attempt.paused_s > 0


def test_a_paused_run_can_be_cancelled(home: Home, family: tuple[int, list[psutil.Process]], until: Until) -> None:
    run_id, processes = family
    queue.pause(home, run_id)
    queue.cancel(home, run_id, "enough")
    run = until(run_id)
    assert (run.state, run.reason, run.signal) == ("cancelled", "enough", signal.SIGTERM)
    wait_until(lambda: not any(process.is_running() for process in processes))


def test_a_paused_run_keeps_its_reservation(home: Home, queue_python: Queue, until: Until) -> None:
    reserve = {"bytes": 1 << 20, "exclusive": True}
    first = queue_python("import time; time.sleep(300)", reserve=reserve)
    until(first, lambda run: run.state == "running")
    queue.pause(home, first)
    second = queue_python("pass")
    waits = until(second, lambda run: run.reason is not None)
    assert (waits.state, waits.reason) == ("queued", f"#{first} has the machine alone")


def test_time_in_a_pause_is_not_run_time(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("import time; time.sleep(300)", limits={"max_seconds": 4})
    until(run_id, lambda run: run.state == "running")
    queue.pause(home, run_id)
    time.sleep(5)
    assert until(run_id, lambda run: True).state == "paused"
    queue.resume(home, run_id)
    assert until(run_id).reason == "stopped after 0:00:04, its maximum run time"


def test_a_paused_run_whose_runner_dies_is_paused_and_goes_on(
    home: Home, family: tuple[int, list[psutil.Process]], until: Until, tmp_path: Path
) -> None:
    run_id, processes = family
    queue.pause(home, run_id)
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.runner is not None
    os.kill(attempt.runner.pid, signal.SIGKILL)
    wait_until(
        lambda: not psutil.pid_exists(attempt.runner.pid) or psutil.Process(attempt.runner.pid).status() == "zombie"
    )
    assert until(run_id, lambda run: True).state == "paused"
    queue.resume(home, run_id)
    assert until(run_id, lambda run: run.state == "running")
    assert processes[0].status() != psutil.STATUS_STOPPED
    queue.pause(home, run_id)
    assert processes[0].status() == psutil.STATUS_STOPPED
    queue.cancel(home, run_id, "enough")
    run = until(run_id)
    assert run.state == "cancelled" and run.reason is not None and run.reason.startswith("enough")


def test_what_waits_is_held_not_paused(home: Home, queue_python: Queue) -> None:
    run_id = queue_python("pass", held=True)
    with pytest.raises(QueueError, match="only what runs"):
        queue.pause(home, run_id)
    with closing(connect(home.runs_db)) as conn:
        run = get_run(conn, run_id)
    assert run is not None and run.state == "held"
