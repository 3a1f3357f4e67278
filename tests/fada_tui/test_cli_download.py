"""`fada download`: what it would take, the job, killed and gone on with; and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.store import read_attempt
from db.home import Home
from fada_tui.cli import run
from tests.conftest import end_processes
from tests.hub_server import TOKEN, HubServer, Repo

REPO = "HuggingFaceTB/SmolVLM-256M-Instruct"
WEIGHTS = "model.safetensors"
PATIENCE_S = 120.0
Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """``fada("jobs")``: exit status, the JSON document, standard error."""

    def call(*words: str) -> tuple[int, Any, str]:
        status = run(["--home", str(panel_home.root), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    yield call
    end_processes(panel_home)


@pytest.fixture
def repo(hub_server: HubServer, tiny_checkpoint: Path) -> Repo:
    return hub_server.add(REPO, tiny_checkpoint)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_killed_in_the_middle_it_goes_on_from_there(
    fada: Run, panel_home: Home, hub_server: HubServer, repo: Repo, tmp_path: Path
) -> None:
    status, said, _ = fada("download", "SmolVLM-256M", "--dry-run")
    assert (status, said["runs"], said["revision"]) == (0, [], repo.commit)
    assert said["missing_bytes"] == said["bytes"] > len(repo.files[WEIGHTS])
    hub_server.rate = 400_000
    status, said, _ = fada("download", "SmolVLM-256M")
    assert (status, said["runs"]) == (0, [1])
    status, again, _ = fada("download", REPO)
    assert status == 2
    assert "#1 downloads" in again["error"]["message"]
    parts = tmp_path / "cache" / f"models--{REPO.replace('/', '--')}/blobs"
    until(lambda: any(path.stat().st_size for path in parts.glob("*.fada-part")))
    attempt = read_attempt(panel_home.run_dir(1), 1)
    assert attempt is not None
    assert attempt.worker is not None
    os.kill(attempt.worker.pid, signal.SIGKILL)
    until(lambda: (one := read_attempt(panel_home.run_dir(1), 1)) is not None and one.ended is not None)
    come = next(parts.glob("*.fada-part")).stat().st_size
    assert 0 < come < len(repo.files[WEIGHTS])
    hub_server.rate = 0
    hub_server.sent.clear()
    status, said, _ = fada("resume", "1", "--wait")
    assert status == 0
    assert hub_server.sent[WEIGHTS] == len(repo.files[WEIGHTS]) - come
    (job,) = fada("jobs")[1]
    assert (job["task"], job["model"], job["state"]) == ("download", "SmolVLM-256M", "done")
    assert job["progress"] == {"done": said_bytes(repo), "total": said_bytes(repo), "unit": "bytes"}
    status, said, _ = fada("download", "SmolVLM-256M")
    assert (status, said["runs"], said["missing_bytes"]) == (0, [], 0)


def said_bytes(repo: Repo) -> int:
    return sum(len(data) for name, data in repo.files.items() if name != "README.md")


def test_what_is_refused_queues_nothing(fada: Run, repo: Repo, tiny_checkpoint: Path) -> None:
    def refused(*words: str) -> dict[str, Any]:
        status, document, _ = fada("download", *words)
        assert status == 2
        assert fada("jobs")[1] == []
        error: dict[str, Any] = document["error"]
        return error

    assert "is a folder of this machine" in refused(str(tiny_checkpoint))["message"]
    assert "the hub has no model org/none" in refused("org/none")["message"]
    assert "has no revision v9" in refused("SmolVLM-256M", "--revision", "v9")["message"]
    assert "Gemma-3-Vision:4B" in refused("Gemma-3-Vision")["hint"]
    assert "never published" in refused("FetalMind")["message"]
    repo.claims[WEIGHTS] = 10**17
    assert "GB are free there" in refused("SmolVLM-256M")["message"]
    repo.claims.clear()
    repo.gated = True
    said = refused("SmolVLM-256M")
    assert "is gated" in said["message"]
    assert f"/{REPO}" in said["hint"]


def test_an_evaluation_fetches_what_it_was_pinned_to_with_a_token_of_secrets_env(
    fada: Run, panel_home: Home, repo: Repo, phantom_set: dict[str, str]
) -> None:
    repo.gated = True
    panel_home.secrets.write_text(f"HF_TOKEN={TOKEN}\n")
    panel_home.secrets.chmod(0o600)
    words = ("--kind", "proxy", "--data", phantom_set["test"], "--image-root", phantom_set["images"], "--limit", "2")
    status, _, err = fada("eval", "SmolVLM-256M", *words, "--wait")
    assert status == 0, err
    folder = panel_home.run_dir(1)
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["model"]["revision"] == repo.commit
    assert len((folder / "predictions.jsonl").read_text().splitlines()) == 2
    phases = [json.loads(line).get("phase") for line in (folder / "events.jsonl").read_text().splitlines()]
    assert "download" in phases
    told = [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert told == []
