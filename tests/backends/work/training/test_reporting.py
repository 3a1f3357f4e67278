"""What a tracker of another maker is given, and what it is refused for; nothing is sent anywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from backends.jobs.errors import QueueError
from backends.jobs.job import Job, JobError
from backends.jobs.reporting import check_trackers, notices
from backends.work.plan import training_plan
from backends.work.training.reporting import prepare_reporting
from backends.work.training.trainer import arguments

MakeJob = Callable[..., Job]
KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def job(make_job: MakeJob) -> Job:
    return make_job(1, kind="finetune", task=None, training={"report_to": ["wandb"], "max_steps": 3})


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of its own, of somebody who has logged in nowhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return {}


def test_the_key_comes_from_the_secrets_and_the_run_s_folder_is_written_in(job: Job, own: dict[str, str]) -> None:
    job.home.secrets.write_text(f"WANDB_API_KEY={KEY}\n")
    job.home.secrets.chmod(0o600)
    prepare_reporting(job, training_plan(job.spec), own)
    assert own["WANDB_API_KEY"] == KEY and own["WANDB_DIR"] == str(job.dir)
    assert all(KEY not in path.read_text() for path in job.dir.iterdir() if path.is_file())


def test_without_a_key_it_ends_before_anything_is_sent(job: Job, own: dict[str, str]) -> None:
    with pytest.raises(JobError, match="there is no key for it") as caught:
        prepare_reporting(job, training_plan(job.spec), own)
    assert str(job.home.secrets) in str(caught.value.hint)
    own["WANDB_MODE"] = "offline"
    prepare_reporting(job, training_plan(job.spec), own)
    assert "WANDB_API_KEY" not in own


def test_a_login_is_enough(job: Job, own: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    (tmp_path / ".netrc").chmod(0o600)
    prepare_reporting(job, training_plan(job.spec), own)


def test_without_a_tracker_nothing_is_set(make_job: MakeJob, own: dict[str, str]) -> None:
    plain = make_job(2, kind="finetune", task=None, training={"max_steps": 3})
    prepare_reporting(plain, training_plan(plain.spec), own)
    assert own == {}


def test_mlflow_keeps_them_together_unless_a_person_says_where(make_job: MakeJob, own: dict[str, str]) -> None:
    made = make_job(2, kind="finetune", task=None, training={"report_to": ["mlflow"], "max_steps": 3})
    prepare_reporting(made, training_plan(made.spec), own)
    assert own == {"MLFLOW_EXPERIMENT_NAME": "fada"}
    own["MLFLOW_EXPERIMENT_NAME"] = "mine"
    prepare_reporting(made, training_plan(made.spec), own)
    assert own["MLFLOW_EXPERIMENT_NAME"] == "mine"


def test_what_is_not_installed_is_said_before_it_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.jobs.reporting.find_spec", lambda name: None)
    with pytest.raises(QueueError, match="report_to=mlflow: mlflow is not installed"):
        check_trackers(["mlflow"])
    check_trackers(None)
    assert "WANDB_MODE=offline" in notices(["wandb"])[0] and notices(None) == []


def test_the_trainer_is_told_of_them(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.models.transformers_loader import load

    for name in ("trackio", "wandb"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    made: Any = make_job(3, kind="finetune", task=None, training={"report_to": "trackio", "max_steps": 3})
    model = load(made.spec["model"]["source"], device="cpu")
    told = arguments(made, training_plan(made.spec), model, 3)
    assert (told.report_to, told.project) == (["trackio"], "fada")
    assert told.run_name == f"#3 {made.spec['model']['name']}"
