"""Maximum run time: how it is written, and that it ends what it should and nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.jobs.limits import LOG_BYTES, RunClock, clock_text, log_bytes, read_time
from backends.jobs.store import read_attempt
from db.home import Home
from db.runs.rows import Run

Queue = Callable[..., int]
Until = Callable[..., Run]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("3600", 3600), ("1h30m", 5400), ("45s", 45), ("1d", 86400), ("2:00:01", 7201)],
)
def test_times_as_people_write_them(text: str, seconds: int) -> None:
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-5", "2x", "1h 0:30", "1.5h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        read_time(text)


def test_time_as_a_clock_shows_it() -> None:
    assert [clock_text(7200), clock_text(59), clock_text(90_061)] == ["2:00:00", "0:00:59", "25:01:01"]


def test_pauses_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = RunClock()
    for step, paused in ((1.0, False), (50.0, True), (2.0, False)):
        now[0] += step
        clock.tick(paused)
    assert clock.seconds == 3.0


def test_the_log_cap_comes_from_the_config(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert log_bytes(config) == LOG_BYTES
    config.write_text("[limits]\nlog_bytes = 1048576\n")
    assert log_bytes(config) == 1 << 20
    for broken in ("[limits]\nlog_bytes = 'much'\n", "limits = 3\n", "[limits\n"):
        config.write_text(broken)
        assert log_bytes(config) == LOG_BYTES


def test_a_run_that_takes_too_long_fails_and_says_so(queue_python: Queue, until: Until) -> None:
    # It ends well when told to end: that is no success.
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); time.sleep(300)"
    run = until(queue_python(code, limits={"max_seconds": 1}))
    assert (run.state, run.reason) == ("failed", "stopped after 0:00:01, its maximum run time")


def test_a_run_in_time_is_let_be(queue_python: Queue, until: Until) -> None:
    assert until(queue_python("pass", limits={"max_seconds": 60})).state == "done"


def test_a_runner_that_died_takes_no_limit_with_it(home: Home, queue_python: Queue, until: Until) -> None:
    run_id = queue_python("import time; time.sleep(300)", limits={"max_seconds": 3})
    until(run_id, lambda run: run.state == "running")
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.runner is not None
    os.kill(attempt.runner.pid, signal.SIGKILL)
    run = until(run_id)
    assert run.state == "cancelled" and run.reason is not None and "maximum run time" in run.reason
