"""Jobs made of small real commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.reconcile import tick_and_wake
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run

PATIENCE_S = 240.0

FAULT = """
import backends.work

def work_function(spec):
    def work(job):
        {body}
        return {{"batch": spec.get("generation", {{}}).get("batch_size")}}
    return work

backends.work.work_function = work_function
"""


@pytest.fixture
def queue_python(home: Home) -> Callable[..., int]:
    """Queue a `run` job that executes Python code."""

    def queue(code: str, **parts: Any) -> int:
        words = [sys.executable, "-c", code]
        return submit(home, {"kind": "run", "task": None, "title": "test", "command": words, "after": [], **parts})

    return queue


@pytest.fixture
def queue_eval(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Queue an evaluation by a real worker whose work is a line of Python (the last one given, for all of them)."""

    def queue(body: str, **parts: Any) -> int:
        (tmp_path / "fault").mkdir(exist_ok=True)
        (tmp_path / "fault/sitecustomize.py").write_text(FAULT.format(body=body))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fault"))
        model = {"name": "tiny", "source": "tiny/model", "from_run": None}
        reserve = {"bytes": 1 << 20, "most": 1 << 40, "memory": "RAM", "exclusive": False}
        return submit(
            home,
            {
                "kind": "eval",
                "task": "gt",
                "model": model,
                "generation": {"batch_size": 8},
                "after": [],
                "reserve": reserve,
                **parts,
            },
        )

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
