"""The queue with real processes: what is killed, what goes on, and that nothing is called done that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backends.jobs import queue
from backends.jobs.errors import QueueConflict, QueueError
from backends.jobs.lock import is_held
from backends.jobs.reindex import reindex
from backends.jobs.store import read_attempt, read_control
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home
from db.runs.queries import curve, get_run, list_runs, runs_in_state, summary
from db.runs.rows import Run

Queue = Callable[..., int]
Until = Callable[..., Run]

SLEEP = "import time; time.sleep(300)"
EVENTS = """
import json, os, time
with open(os.environ["FADA_EVENTS"], "a") as file:
    for step in range(5):
        file.write(json.dumps({"t": time.time(), "kind": "metric", "name": "loss", "value": 1 / (step + 1), "step": step}) + "\\n")
    file.write(json.dumps({"t": time.time(), "kind": "finished", "summary": {"answer": 42}}) + "\\n")
"""


def running(run: Run) -> bool:
    return run.state == "running"


def worker_pid(home: Home, run_id: int) -> int:
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.worker is not None
    return attempt.worker.pid


def runner_pid(home: Home, run_id: int) -> int:
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.runner is not None
    return attempt.runner.pid


def dispatcher_pids(home: Home) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "backends.jobs.dispatcher" in (words := process.info["cmdline"] or []) and str(home.root) in words
    ]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_runs_and_its_events_are_indexed(home: Home, queue_python: Queue, until: Until) -> None:
    run = until(queue_python(EVENTS))
    assert (run.state, run.exit_code, run.reason) == ("done", 0, None)
    assert run.peak_bytes and run.peak_bytes > 1 << 20
    with closing(connect(home.runs_db)) as conn:
        assert [point.step for point in curve(conn, run.id, "loss")] == [0, 1, 2, 3, 4]
        assert summary(conn, run.id) == {"answer": 42}


def test_exit_codes_and_signals_are_kept(queue_python: Queue, until: Until) -> None:
    failed = until(queue_python("raise SystemExit(7)"))
    assert (failed.state, failed.exit_code, failed.reason) == ("failed", 7, "exit code 7")
    killed = until(queue_python("import os; os.kill(os.getpid(), 9)"))
    assert (killed.state, killed.exit_code, killed.signal) == ("failed", None, 9)


def test_a_command_that_does_not_exist_fails_and_says_so(home: Home, until: Until) -> None:
    parts = {"kind": "run", "task": None, "title": "x", "command": ["/no/such/program"], "after": []}
    run = until(submit(home, parts))
    assert run.state == "failed" and run.reason is not None and "/no/such/program" in run.reason


def test_dependants_follow_success_and_are_cancelled_by_failure(home: Home, queue_python: Queue, until: Until) -> None:
    first = queue_python("raise SystemExit(1)", held=True)
    second = queue_python("pass", after=[first])
    third = queue_python("pass", after=[second])
    whatever = queue_python("pass", after=[first], after_any=True)
    queue.release(home, first)
    assert until(third).state == "cancelled"
    assert until(second).reason == f"#{first} failed"
    assert until(whatever).state == "done"


def test_cancel_ends_the_worker_and_its_children(home: Home, queue_python: Queue, until: Until) -> None:
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']); time.sleep(300)"
    run_id = queue_python(code)
    until(run_id, running)
    wait_until(lambda: len(psutil.Process(worker_pid(home, run_id)).children()) == 1)
    (child,) = psutil.Process(worker_pid(home, run_id)).children()
    queue.cancel(home, run_id, "enough")
    run = until(run_id)
    assert (run.state, run.reason) == ("cancelled", "enough")
    wait_until(lambda: gone(child.pid))


def test_a_worker_that_ignores_term_is_killed(
    home: Home, queue_python: Queue, until: Until, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w').close(); time.sleep(300)"
    run_id = queue_python(code)
    wait_until(ready.exists)
    queue.cancel(home, run_id)
    run = until(run_id)
    assert (run.state, run.signal) == ("cancelled", signal.SIGKILL)


def test_leftover_daemons_of_a_finished_worker_are_ended(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], "
        f"start_new_session=True); open({str(note)!r}, 'w').write(str(p.pid))"
    )
    assert until(queue_python(code)).state == "done"
    assert gone(int(note.read_text()))


def test_hold_release_and_order(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("pass", held=True)
    assert until(run_id, lambda run: run.state == "held")
    other = queue_python("pass", held=True)
    queue.move(home, other, run_id)
    with closing(connect(home.runs_db)) as conn:
        positions = {run.id: run.position for run in list_runs(conn)}
    assert positions[other] < positions[run_id]
    queue.release(home, run_id)
    assert until(run_id).state == "done"
    with pytest.raises(QueueError, match="not held"):
        queue.release(home, run_id)


def test_cancelling_a_waiting_run_needs_no_process(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("pass", held=True)
    queue.cancel(home, run_id)
    assert until(run_id).state == "cancelled"
    assert read_attempt(home.run_dir(run_id), 1) is None


def test_killing_the_dispatcher_harms_nothing(home: Home, queue_python: Queue, until: Until) -> None:
    first = queue_python("import time; time.sleep(2)")
    second = queue_python("pass", after=[first])
    until(first, running)
    for pid in dispatcher_pids(home):
        os.kill(pid, signal.SIGKILL)
    assert until(first).state == "done"
    assert until(second).state == "done"


def test_a_job_whose_runner_is_killed_is_running_while_it_runs_and_then_lost(
    home: Home, queue_python: Queue, until: Until, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    run_id = queue_python(f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)")
    until(run_id, running)
    pid = runner_pid(home, run_id)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))
    assert is_held(home.run_dir(run_id) / "lock")
    assert until(run_id, lambda run: True).state == "running"
    end.touch()
    run = until(run_id)
    assert run.state == "lost" and run.exit_code is None


def test_an_orphaned_worker_can_still_be_cancelled(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python(SLEEP)
    until(run_id, running)
    worker = worker_pid(home, run_id)
    os.kill(runner_pid(home, run_id), signal.SIGKILL)
    wait_until(lambda: gone(runner_pid(home, run_id)))
    queue.cancel(home, run_id)
    assert until(run_id).is_over
    assert gone(worker)


def test_a_session_that_hangs_up_takes_no_job_with_it(home: Home, until: Until) -> None:
    """The enqueuing process, its terminal's session leader, is killed as by a lost SSH connection."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom db.home import Home\nfrom backends.jobs.submit import submit\n"
        f"submit(Home(Path({str(home.root)!r})), {{'kind': 'run', 'task': None, 'title': 't', 'after': [], "
        "'command': [sys.executable, '-c', 'import time; time.sleep(2)']})\nprint('queued', flush=True)\ntime.sleep(300)"
    )
    shell = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert shell.stdout is not None and shell.stdout.readline() == b"queued\n"
    until(1, running)
    os.killpg(shell.pid, signal.SIGHUP)
    shell.wait()
    shell.stdout.close()
    assert until(1).state == "done"


def test_reindex_gives_the_same_rows(home: Home, queue_python: Queue, until: Until) -> None:
    until(queue_python(EVENTS))
    failing = queue_python("raise SystemExit(3)", held=True)
    after = queue_python("pass", after=[failing])
    queue.release(home, failing)
    until(after)

    def everything() -> list[tuple[object, ...]]:
        with closing(connect(home.runs_db)) as conn:
            tables = ("runs", "dependencies", "offsets", "metrics", "predictions", "scores")
            return [tuple(row) for table in tables for row in conn.execute(f"SELECT * FROM {table}")]

    before = everything()
    assert reindex(home) == 3
    assert everything() == before


def test_ids_are_not_used_again(home: Home, queue_python: Queue, until: Until) -> None:
    first = queue_python("pass")
    until(first)
    queue.remove(home, first)
    assert not home.run_dir(first).exists()
    reindex(home)
    assert queue_python("pass", held=True) == first + 1


def test_a_deleted_run_directory_is_a_lost_run(home: Home, queue_python: Queue, until: Until) -> None:
    import shutil

    run_id = queue_python("pass", held=True)
    shutil.rmtree(home.run_dir(run_id))
    run = until(run_id)
    assert (run.state, run.reason) == ("lost", "its run directory is gone")


def test_a_run_directory_without_a_row_is_adopted(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("pass", held=True)
    with closing(connect(home.runs_db)) as conn:
        conn.execute("DELETE FROM runs")
        assert get_run(conn, run_id) is None
    assert until(run_id, lambda run: True).state == "held"


def test_what_others_need_is_not_removed_by_accident(home: Home, queue_python: Queue, until: Until) -> None:
    first = queue_python("pass")
    until(first)
    made = {"path": str(home.run_dir(first) / "data.jsonl"), "image_root": str(home.run_dir(first))}
    user = queue_python("pass", data=made, held=True)
    with pytest.raises(QueueError, match=f"needed by #{user}"):
        queue.remove(home, first)
    queue.cancel(home, user)
    with pytest.raises(QueueConflict, match=f"#{user} used"):
        queue.remove(home, first)
    assert home.run_dir(first).is_dir()
    queue.remove(home, first, force=True)
    assert not home.run_dir(first).exists()
    with pytest.raises(QueueError, match="not there any more"):
        queue.retry(home, user)


def test_a_cancelled_orphan_is_cancelled_not_lost(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python(SLEEP)
    until(run_id, running)
    os.kill(runner_pid(home, run_id), signal.SIGKILL)
    wait_until(lambda: gone(runner_pid(home, run_id)))
    queue.cancel(home, run_id, "enough")
    run = until(run_id)
    assert run.state == "cancelled" and run.reason is not None and run.reason.startswith("enough")


def test_an_order_holds_however_often_it_is_changed(home: Home, queue_python: Queue) -> None:
    """Halves of halves come to an end: then all are numbered anew."""
    first, *others = (queue_python("pass", held=True) for _ in range(4))
    one, other = others[1:]
    for _ in range(80):
        queue.move(home, other, one)
        with closing(connect(home.runs_db)) as conn:
            assert [run.id for run in runs_in_state(conn, "held")] == [first, others[0], other, one]
        one, other = other, one


def test_a_run_that_begins_while_it_is_held_is_not_called_held(
    home: Home, queue_python: Queue, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue_python(SLEEP)
    with closing(connect(home.runs_db)) as conn:
        waiting = get_run(conn, run_id)
        assert waiting is not None
    until(run_id, running)
    monkeypatch.setattr("backends.jobs.order.need", lambda conn, number: replace(waiting, state="queued"))
    with pytest.raises(QueueError, match="begun meanwhile"):
        queue.hold(home, run_id)
    assert not read_control(home.run_dir(run_id)).held


def test_what_a_job_leaves_is_its_owners_alone(home: Home, until: Until) -> None:
    before = os.umask(0)
    try:
        script = 'echo said; echo "{}" >> "$FADA_EVENTS"'
        parts = {"kind": "run", "task": None, "title": "x", "command": ["sh", "-c", script], "after": []}
        until(submit(home, parts))
    finally:
        os.umask(before)
    shared = [path for path in home.root.rglob("*") if path.stat().st_mode & 0o077]
    assert shared == [] and (home.run_dir(1) / "events.jsonl").read_text() == "{}\n"
