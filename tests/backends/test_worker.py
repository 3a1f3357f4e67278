from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends import worker
from backends.jobs.job import Job, JobError
from backends.work import work_function

pytestmark = pytest.mark.xdist_group("heavy")

Events = Callable[[Job, str], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restored_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in worker.environment({}, os.environ).items():
        monkeypatch.setenv(name, value)


def _main(job: Job) -> int:
    return worker.main(["--home", str(job.home.root), "--run", str(job.run_id)])


def test_a_run_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert worker.main(["--home", str(tmp_path), "--run", "5"]) == 1
    assert "spec.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"kind": "tool", "tool": {"name": "abacus", "args": {}}}, "abacus"),
        ({"kind": "run", "command": ["true"]}, "run"),
        ({"kind": "eval", "task": "astrology"}, "astrology"),
    ],
)
def test_a_job_that_it_cannot_do(
    make_job: Callable[..., Job], read_events: Events, parts: dict[str, Any], words: str
) -> None:
    job = make_job(1, **parts)
    assert _main(job) == 1
    [failed] = read_events(job, "failed")
    assert failed["error"] == "JobError"
    assert words in failed["message"]
    assert failed["hint"]
    assert not read_events(job, "started")


def test_a_tool_runs_to_its_end(make_job: Callable[..., Job], read_events: Events, tmp_path: Path) -> None:
    arguments = {"folder": str(tmp_path / "set"), "train": 1, "val": 1, "test": 1, "seed": 3}
    job = make_job(1, kind="tool", task=None, model=None, tool={"name": "phantoms", "args": arguments})
    assert _main(job) == 0
    [finished] = read_events(job, "finished")
    assert Path(finished["summary"]["train"]).is_file()


def test_bad_data_is_named_by_file_and_line(make_job: Callable[..., Job], read_events: Events, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("no json\n")
    job = make_job(1, data={"path": str(data), "image_root": str(tmp_path), "limit": None})
    assert _main(job) == 1
    [failed] = read_events(job, "failed")
    assert f"{data}:1" in failed["message"]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")]
)
def test_full_memory_has_its_own_name(
    make_job: Callable[..., Job], read_events: Events, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(_: Job) -> dict[str, Any]:
        raise ValueError("while loading") from error

    monkeypatch.setattr("backends.work.phantoms.run", full)
    job = make_job(1, kind="tool", tool={"name": "phantoms", "args": {}})
    assert _main(job) == 1
    assert read_events(job, "failed")[0]["error"] == "out_of_memory"


def test_torch_full_memory_is_seen() -> None:
    import torch

    assert worker.out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert worker.out_of_memory(RuntimeError("could not create a primitive"))
    assert not worker.out_of_memory(RuntimeError("could not create a primitive descriptor for a convolution"))
    assert not worker.out_of_memory(ValueError("memory"))


def test_the_environment_follows_the_spec() -> None:
    local = worker.environment({"threads": 3, "model": {"source": "/data/model"}}, {})
    assert local["OMP_NUM_THREADS"] == "3"
    assert local["TOKENIZERS_PARALLELISM"] == "false"
    assert local["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in worker.environment({"model": {"source": "org/name"}}, {})


def test_the_tools_are_known() -> None:
    assert work_function({"kind": "tool", "tool": {"name": "phantoms"}}).__module__ == "backends.work.phantoms"
    with pytest.raises(JobError):
        work_function({"kind": "finetune", "task": "gt"})


@pytest.mark.slow
def test_as_a_process_it_evaluates_a_tiny_model(
    make_job: Callable[..., Job], read_events: Events, phantom_set: dict[str, str], tmp_path: Path
) -> None:
    data = {"path": phantom_set["val"], "image_root": phantom_set["images"], "limit": None}
    job = make_job(1, data=data)
    command = [sys.executable, "-P", "-m", "backends.worker", "--home", str(job.home.root), "--run", "1"]
    done = subprocess.run([*command, "--attempt", "2"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(job.predictions.read_text().splitlines()) == 8
    kinds = [json.loads(line)["kind"] for line in (job.dir / "events.jsonl").read_text().splitlines()]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert read_events(job, "finished")[0]["summary"]["samples"] == 8


@pytest.mark.slow
def test_what_is_needed_is_imported_before_it_says_started(
    make_job: Callable[..., Job], phantom_set: dict[str, str]
) -> None:
    data = {"path": phantom_set["val"], "image_root": phantom_set["images"], "limit": 2}
    job = make_job(1, data=data)
    code = (
        "import sys; from backends import worker; from backends.jobs.events import EventWriter\n"
        "before = []; say = EventWriter.started\n"
        "def started(self, **fields): before.extend(sys.modules); say(self, **fields)\n"
        "EventWriter.started = started\n"
        f"code = worker.main(['--home', {str(job.home.root)!r}, '--run', '1'])\n"
        "late = [m for m in sys.modules if m not in set(before)]\n"
        "print(code, *[m for m in late if m.split('.')[0] in ('backends', 'transformers', 'sentence_transformers', 'peft')])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["0"]
