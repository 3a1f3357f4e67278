"""What the queueing verbs refuse, and that a refusal queues nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from fada_tui.cli import run
from tests.conftest import end_processes

Run = Callable[..., tuple[int, Any, str]]

LINE = {
    "messages": [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Q3: Imaging Plane: which?"}]},
        {"role": "assistant", "content": "Femur"},
    ],
    "images": ["Femur/1.png"],
}


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    """``fada("jobs")``: exit status, the JSON document, standard error."""

    def call(*words: str) -> tuple[int, Any, str]:
        status = run(["--home", str(panel_home.root), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    return call


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "Femur").mkdir()
    (tmp_path / "Femur/1.png").write_bytes(b"looked at by the worker, not when queued")
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(LINE) + "\n")
    return path


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def refused(fada: Run, *words: str) -> dict[str, Any]:
    status, document, err = fada(*words)
    assert status == 2
    assert err.startswith("fada: ") and document["error"]["message"] in err
    assert fada("jobs")[1] == []
    return dict(document["error"])


def test_an_unknown_model_gets_the_nearest_names(fada: Run, data: Path) -> None:
    error = refused(fada, "eval", "Qwen2-VL-2", "--data", str(data))
    assert "Qwen2-VL-2B" in error["hint"]


def test_data_that_is_not_there(fada: Run, checkpoint: Path) -> None:
    assert refused(fada, "eval", str(checkpoint), "--data", "/no/such.jsonl")["where"] == "/no/such.jsonl"


def test_a_malformed_line_is_named(fada: Run, checkpoint: Path, data: Path) -> None:
    with data.open("a") as file:
        file.write('{"messages": \n')
    error = refused(fada, "eval", str(checkpoint), "--data", str(data))
    assert error["where"] == f"{data}:2"


def test_a_model_folder_without_a_processor(fada: Run, checkpoint: Path, data: Path) -> None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        (checkpoint / name).unlink(missing_ok=True)
    assert "processor" in refused(fada, "eval", str(checkpoint), "--data", str(data))["message"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--limit", "0"], "at least 1"),
        (["--after", "99"], "no run #99"),
        (["--adapter", "99"], "no run #99"),
        (["--max-time", "soon"], "write it as"),
    ],
)
def test_numbers_that_cannot_be(fada: Run, checkpoint: Path, data: Path, words: list[str], says: str) -> None:
    assert says in refused(fada, "eval", str(checkpoint), "--data", str(data), *words)["message"]


def test_settings_and_held_out_data(fada: Run, checkpoint: Path, data: Path) -> None:
    base = ["finetune", str(checkpoint), "--data", str(data)]
    assert "learning_rate" in refused(fada, *base, "--set", "learning_rat=1")["message"]
    assert "same file" in refused(fada, *base, "--eval-data", str(data))["message"]


@pytest.mark.parametrize("amount", ["nan", "inf", "-5"])
def test_an_amount_of_memory_that_cannot_be(fada: Run, amount: str) -> None:
    status, document, _ = fada("run", "--vram", amount)
    assert status == 2 and "amount of memory" in document["error"]["message"]
    assert fada("jobs")[1] == []


def test_a_job_that_can_never_fit_names_both_numbers(fada: Run) -> None:
    message = refused(fada, "run", "--vram", "100000", "--", "true")["message"]
    assert "needs" in message and "this machine has" in message


def test_usage_errors_are_errors_of_the_command_too(fada: Run) -> None:
    refused(fada, "eval")
    refused(fada, "no-such-command")
    refused(fada, "run")
    refused(fada, "job", "7")


def test_a_home_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", "/proc/fada", "models"]) == 2
    assert "--home" in capsys.readouterr().err


def test_a_queued_evaluation_is_frozen_without_secrets(
    fada: Run, checkpoint: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "sesame-open")
    from backends.jobs import launch

    home = Home(Path(fada("where")[1]["home"]))
    run_id = launch.enqueue_eval(home, str(checkpoint), data=data, held=True)
    status, job, _ = fada("job", str(run_id))
    assert status == 0 and job["state"] == "held" and job["kind"] == "eval" and job["task"] == "gt"
    assert job["spec"]["data"]["samples"] == 1 and len(job["fingerprint"]) == 16
    assert "sesame-open" not in (home.run_dir(run_id) / "spec.json").read_text()
    assert fada("cancel", str(run_id))[1] == {"changed": [f"#{run_id} was cancelled"]}


def test_two_commands_at_once_on_a_fresh_home(tmp_path: Path) -> None:
    words = [sys.executable, "-P", "-m", "fada_tui", "--home", str(tmp_path / "new"), "--json", "models"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert len(json.loads(out)) == 42


def test_several_models_go_in_together_or_not_at_all(fada: Run, checkpoint: Path, data: Path) -> None:
    assert "no model" in refused(fada, "eval", str(checkpoint), "Qwen2-VL-2", "--data", str(data))["message"]


def test_a_damaged_index_is_said_and_rebuilt(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(panel_home.root), "--json"]
    assert run([*home, "run", "--", "true"]) == 0
    capsys.readouterr()
    for verb in ("jobs", "scores", "reindex"):
        end_processes(panel_home)  # a dispatcher would find the damage, and mend it, as well
        for name in ("runs.db-wal", "runs.db-shm"):
            (panel_home.root / name).unlink(missing_ok=True)
        panel_home.runs_db.write_bytes(b"this is no database, and it is long enough to be read as one" * 100)
        assert run([*home, verb]) == 0
        said = capsys.readouterr()
        answer = json.loads(said.out)
        if verb == "reindex":
            assert answer["runs"] == 1 and (panel_home.root / answer["damaged"]).exists()
        else:
            assert "the damaged one is kept as runs.db.damaged-" in said.err
        assert run([*home, "jobs"]) == 0
        assert [job["id"] for job in json.loads(capsys.readouterr().out)] == [1]


def test_a_fine_tune_like_another(fada: Run, checkpoint: Path, data: Path) -> None:
    assert "no model" in refused(fada, "finetune")["message"]
    assert "needs data" in refused(fada, "finetune", str(checkpoint))["message"]
    assert "no run #7" in refused(fada, "finetune", "--like", "7")["message"]
    base = ["finetune", str(checkpoint), "--data", str(data)]
    assert "write it as name=value,value" in refused(fada, *base, "--sweep", "lr")["message"]
    assert "both set and swept" in refused(fada, *base, "--set", "lr=1", "--sweep", "learning_rate=1,2")["message"]
    assert "one of trackio" in refused(fada, *base, "--set", "report_to=tensorboard")["message"]
    assert "no precision" in refused(fada, *base, "--precision", "half")["message"]
