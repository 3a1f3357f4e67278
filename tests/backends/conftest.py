"""Jobs for tests that use a real model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.events import EventWriter
from backends.jobs.job import Job
from db.home import Home

MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(tmp_path: Path, tiny_checkpoint: Path) -> MakeJob:
    """``make_job(run_id, data=…, training=…)``: the job of a spec, its directory made. The same id is the same run."""
    home = Home(tmp_path / "jobs-home").ensure()

    def make(run_id: int, **parts: Any) -> Job:
        folder = home.run_dir(run_id)
        folder.mkdir(exist_ok=True)
        spec = {
            "format": 1,
            "id": run_id,
            "kind": "eval",
            "task": "gt",
            "model": {"name": "tiny", "source": str(tiny_checkpoint), "revision": None, "from_run": None},
            "generation": {"max_new_tokens": 8, "batch_size": 8, "do_sample": False},
            "scoring": {"embedding": "all-MiniLM-L6-v2"},
            "training": None,
            "seed": 0,
            "threads": 1,
            "device": "cpu",
            **parts,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        return Job(home, run_id, 1, spec, EventWriter(folder / "events.jsonl"))

    return make


@pytest.fixture
def read_events() -> Callable[[Job, str], list[dict[str, Any]]]:
    """``read_events(job, kind)``: its events of one kind, in order."""

    def read(job: Job, kind: str) -> list[dict[str, Any]]:
        lines = (job.dir / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == kind]

    return read
