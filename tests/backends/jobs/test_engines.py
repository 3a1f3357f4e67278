"""Engines without a cluster: what their commands print, what config.toml says of them, and which state follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.engines.base import EngineError, Order
from backends.jobs.engines.batch import batch_options, batch_script
from backends.jobs.engines.config import EngineSettings, of_spec, read_engines, that_fit
from backends.jobs.engines.squeue import in_queue, of_sacct, of_scontrol
from backends.jobs.engines.states import of_submission
from backends.jobs.engines.submission import REFUSED, UNKNOWN, Submission
from backends.jobs.errors import QueueError
from backends.jobs.store import Attempt, Control
from db.home import Home

OLD = {"job_id": 7, "array_job_id": 0, "array_task_id": None, "array_task_string": "", "job_state": "RUNNING"}
OLD |= {"state_reason": "None", "exit_code": 0, "restart_cnt": 1, "name": "fada-1"}
NEW = {
    "job_id": 7,
    "array_job_id": {"set": True, "infinite": False, "number": 0},
    "array_task_id": {"set": False, "infinite": False, "number": 0},
    "array_task_string": "",
    "job_state": ["RUNNING", "COMPLETING"],
    "state_reason": "None",
    "exit_code": {
        "status": ["ERROR"],
        "return_code": {"set": True, "infinite": False, "number": 3},
        "signal": {"id": {"set": False, "infinite": False, "number": 0}, "name": ""},
    },
    "restart_cnt": 0,
    "name": "fada-2",
}


def listed(job: dict[str, Any], **changes: Any) -> Any:
    (found,) = in_queue(json.dumps({"jobs": [job | changes]}))
    return found


def test_both_forms_of_squeue_are_read() -> None:
    old, new = listed(OLD), listed(NEW)
    assert (old.job, old.label, old.word.phase, old.word.restarts) == ("7", "fada-1", "running", 1)
    assert (new.job, new.word.phase, new.word.state, new.word.exit_code) == ("7", "running", "COMPLETING", 3)
    over = listed(NEW, job_state=["FAILED"])
    assert (over.word.phase, over.word.exit_code, over.word.signal) == ("over", 3, None)
    assert (listed(OLD, job_state="FAILED", exit_code=768).word.exit_code) == 3
    assert (listed(OLD, job_state="FAILED", exit_code=9).word.signal) == 9


def test_tasks_of_an_array_are_told_apart() -> None:
    waiting = listed(OLD, array_job_id=7, array_task_string="1-3,9%2", job_state="PENDING", state_reason="Priority")
    assert waiting.tasks == {1, 2, 3, 9} and waiting.word.reason == "Priority"
    task = listed(OLD, job_id=8, array_job_id=7, array_task_id=0)
    assert (task.job, task.base, task.tasks) == ("7_0", "7", None)
    newer = listed(NEW, array_job_id={"set": True, "number": 7}, array_task_id={"set": True, "number": 0})
    assert newer.job == "7_0"


def test_a_state_that_nobody_knows_is_not_an_end() -> None:
    assert listed(OLD, job_state="SOMETHING_NEW").word.phase == "running"
    with pytest.raises(EngineError, match="not understood"):
        in_queue("slurm_load_jobs error")
    with pytest.raises(EngineError, match="not understood"):
        in_queue('{"jobs": [{}]}')


def test_scontrol_and_sacct_are_read() -> None:
    word = of_scontrol("JobId=9 JobName=x JobState=FAILED Reason=NonZeroExitCode Restarts=2 ExitCode=7:0 Comment=a b")
    assert word is not None
    assert (word.phase, word.state, word.exit_code, word.signal, word.restarts) == ("over", "FAILED", 7, None, 2)
    kept = of_sacct("9", "9|CANCELLED by 1000|0:15\n9.batch|CANCELLED|0:15\n")
    assert kept is not None and (kept.state, kept.signal) == ("CANCELLED", 15)
    assert of_sacct("9", "10|COMPLETED|0:0\n") is None


@pytest.mark.parametrize(
    ("over", "attempt", "control", "state"),
    [
        ("COMPLETED", Attempt(1, ended=2.0, exit_code=0), {}, "done"),
        ("FAILED", Attempt(1, ended=2.0, exit_code=7), {}, "failed"),
        ("TIMEOUT", Attempt(1, ended=2.0, exit_code=1, reason="its runner was ended by signal 15"), {}, "failed"),
        ("CANCELLED", Attempt(1, ended=2.0, signal=15), {}, "cancelled"),
        ("CANCELLED", Attempt(1, ended=2.0, exit_code=0), {}, "done"),
        ("CANCELLED", None, {}, "cancelled"),
        ("CANCELLED", None, {"cancel": "not now"}, "cancelled"),
        ("COMPLETED", None, {}, "lost"),
        ("COMPLETED", Attempt(1), {}, "lost"),
        ("FAILED", Attempt(1), {}, "lost"),
        ("FAILED", None, {}, "failed"),
        ("TIMEOUT", Attempt(1), {}, "failed"),
        ("OUT_OF_MEMORY", Attempt(1), {}, "failed"),
        ("NODE_FAIL", Attempt(1), {}, "lost"),
        ("BOOT_FAIL", None, {}, "lost"),
        (UNKNOWN, Attempt(1), {}, "lost"),
        (UNKNOWN, Attempt(1, ended=2.0, exit_code=0), {}, "done"),
        (REFUSED, None, {}, "failed"),
    ],
)
def test_the_last_word_and_the_record_give_the_state(
    tmp_path: Path, over: str, attempt: Attempt | None, control: dict[str, Any], state: str
) -> None:
    submission = Submission("cluster", 1, "fada-1", 1.0, job="7", phase="running", over=over, exit_code=1)
    name, reason = of_submission(tmp_path, Control(1.0, **control), attempt, submission)
    assert name == state
    assert name == "done" or reason


def test_a_time_limit_is_said_instead_of_the_signal(tmp_path: Path) -> None:
    submission = Submission("cluster", 1, "fada-1", 1.0, job="7", over="TIMEOUT")
    attempt = Attempt(1, ended=2.0, signal=15)
    assert of_submission(tmp_path, Control(1.0), attempt, submission)[1] == "ended at its time limit (cluster's job 7)"


def test_one_that_was_ended_and_started_once_more_is_lost_in_those_words(tmp_path: Path) -> None:
    submission = Submission("cluster", 1, "fada-1", 1.0, job="7", phase="running", over="FAILED", exit_code=75)
    name, reason = of_submission(tmp_path, Control(1.0), Attempt(1, job="7"), submission)
    assert (name, reason) == (
        "lost",
        "cluster ended it and started it once more (cluster's job 7); nothing is run twice",
    )


@pytest.mark.parametrize("attempt", [None, Attempt(1), Attempt(1, ended=2.0, exit_code=0)])
@pytest.mark.parametrize("phase", ["waiting", "running", "suspended"])
def test_nothing_is_over_before_the_engine_says_so(tmp_path: Path, attempt: Attempt | None, phase: str) -> None:
    submission = Submission("cluster", 1, "fada-1", 1.0, job="7", phase=phase)
    name, _ = of_submission(tmp_path, Control(1.0), attempt, submission)
    assert name in ("queued", "starting", "running", "paused")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[engines.x]\npartitoin = 'a'", "partitoin"),
        ("[engines.x]\ngres = 'shard:N'", "vram_gb"),
        ("[engines.local]\n", "cannot be called"),
        ("[engines.x]\ntime = 'soon'", "time cannot be"),
        ("[engines.x]\nsetup = 'module load x'", "setup cannot be"),
        ("[engines.x]\npartition = '--wrap=x'", "partition cannot be"),
        ("engines = 3", "no table"),
        ("[engines", "TOML"),
    ],
)
def test_mistakes_in_config_are_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(QueueError) as caught:
        read_engines(tmp_path / "config.toml")
    assert said in caught.value.message + str(caught.value.hint)
    assert that_fit(tmp_path / "config.toml", 1) == []


def test_a_spec_keeps_its_engine_as_it_was() -> None:
    settings = EngineSettings("x", gres="gpu:1", setup=("module load a",), time="8:00:00", requeue=False)
    assert of_spec({"engine": json.loads(json.dumps(settings.as_document()))}) == settings
    assert of_spec({}) is None


def test_what_sbatch_is_told(tmp_path: Path) -> None:
    settings = EngineSettings("x", gres="shard:N", vram_gb=32, time="1-00:00:00", setup=("module load a b",))
    home = Home(tmp_path / "a b")
    orders = [Order(3, 1, {"limits": {"max_seconds": 3600}}, 19_500_000_000, ("5", "6_1"))]
    words = batch_options(settings, orders, home, "fada-3")
    assert {"--gres=shard:20", "--time=62", "--dependency=afterok:5:6_1", "--export=NIL", "--requeue"} <= set(words)
    script = batch_script(settings, orders, home)
    assert "module load a b" in script and f"--home '{home.root}' --run 3 --attempt 1" in script
    free = batch_options(settings, [Order(4, 1, {}, 0)], home, "fada-4")
    assert not any(word.startswith("--gres") for word in free) and "--time=1440" in free


def test_engines_that_fit_are_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        "[engines.small]\ngres='gpu:1'\nvram_gb=24\n[engines.big]\ngres='gpu:1'\nvram_gb=80\n[engines.cpu]\n"
    )
    assert that_fit(config, 40 * 10**9) == ["--engine big (80 GB)"]
