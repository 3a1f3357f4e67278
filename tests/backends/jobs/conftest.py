"""Jobs made of small real commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from backends.jobs.reconcile import tick_and_wake
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run

PATIENCE_S = 60.0


@pytest.fixture
def queue_python(home: Home) -> Callable[..., int]:
    """Queue a `run` job that executes Python code."""

    def queue(code: str, **parts: Any) -> int:
        words = [sys.executable, "-c", code]
        return submit(home, {"kind": "run", "task": None, "title": "test", "command": words, "after": [], **parts})

    return queue


@pytest.fixture
def until(home: Home) -> Callable[..., Run]:
    """Tick, as any command does, until a run satisfies a condition."""

    def wait(run_id: int, condition: Callable[[Run], bool] = lambda run: run.is_over) -> Run:
        deadline = time.monotonic() + PATIENCE_S
        with closing(connect(home.runs_db)) as conn:
            while True:
                tick_and_wake(conn, home)
                run = get_run(conn, run_id)
                assert run is not None
                if condition(run):
                    return run
                assert time.monotonic() < deadline, f"still {run}"
                time.sleep(0.05)

    return wait
