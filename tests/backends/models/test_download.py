"""Fetching a model from a hub that is slow, breaks off, sends other bytes, asks for a token or is not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.downloads import PART, whole_snapshot
from backends.jobs.job import Job, JobError
from backends.models.download import fetch
from backends.models.transformers_loader import load
from tests.hub_server import TOKEN, Fault, HubServer, Repo

NAME = "org/tiny"
WEIGHTS = "model.safetensors"
MakeJob = Callable[..., Job]


@pytest.fixture
def repo(hub_server: HubServer, tiny_checkpoint: Path) -> Repo:
    return hub_server.add(NAME, tiny_checkpoint)


@pytest.fixture
def job(make_job: MakeJob) -> Job:
    return make_job(1)


def events(job: Job, kind: str) -> list[dict[str, Any]]:
    found = map(json.loads, job.events.path.read_text().splitlines())
    return [event for event in found if event["kind"] == kind]


def put_part(cache: Path, repo: Repo, size: int) -> int:
    """What a killed fetch left of the weights."""
    blobs = cache / "models--org--tiny/blobs"
    blobs.mkdir(parents=True)
    name = hashlib.sha256(repo.files[WEIGHTS]).hexdigest() + PART
    return (blobs / name).write_bytes(repo.files[WEIGHTS][:size])


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_loading_takes_is_fetched_once_and_loads(
    hub_server: HubServer, repo: Repo, job: Job, tiny_checkpoint: Path
) -> None:
    repo.files |= {"modeling_evil.py": b"raise SystemExit", "pytorch_model.bin": b"pickle", "model.onnx": b"x" * 99}
    folder = fetch(job, NAME, None)
    assert folder.name == repo.commit
    assert {path.name for path in folder.iterdir()} == {path.name for path in tiny_checkpoint.iterdir()}
    assert (folder / WEIGHTS).read_bytes() == repo.files[WEIGHTS]
    told = events(job, "progress")
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)
    assert told[-1]["done"] == told[-1]["total"] == sum(path.stat().st_size for path in folder.iterdir())
    assert {one["unit"] for one in told} == {"bytes"}
    assert hub_server.sent[WEIGHTS] == len(repo.files[WEIGHTS])
    assert not any(name in path for path in hub_server.paths() for name in (".py", ".bin", ".onnx"))
    before = len(hub_server.paths())
    assert fetch(job, NAME, repo.commit) == folder == whole_snapshot(NAME)
    assert len(hub_server.paths()) == before
    assert load(folder, device="cpu", revision=repo.commit).revision == repo.commit


def test_a_connection_that_ends_is_taken_up_where_it_ended(hub_server: HubServer, repo: Repo, job: Job) -> None:
    hub_server.faults[WEIGHTS] = Fault("cut", after=300_000)
    folder = fetch(job, NAME, None)
    assert (folder / WEIGHTS).read_bytes() == repo.files[WEIGHTS]
    assert hub_server.sent[WEIGHTS] < 1.5 * len(repo.files[WEIGHTS])


def test_what_came_before_a_failure_is_not_fetched_again(
    hub_server: HubServer, repo: Repo, job: Job, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)  # between its tries
    come = put_part(cache, repo, 50_000)
    hub_server.faults[WEIGHTS] = Fault("cut", after=10_000, times=99)  # less than a piece: it never goes on
    with pytest.raises(JobError) as raised:
        fetch(job, NAME, None)
    assert "fada resume" in str(raised.value.hint)
    assert whole_snapshot(NAME) is None
    hub_server.faults.clear()
    hub_server.sent.clear()
    folder = fetch(job, NAME, None)
    assert hub_server.sent[WEIGHTS] == len(repo.files[WEIGHTS]) - come
    assert (folder / WEIGHTS).read_bytes() == repo.files[WEIGHTS]
    assert not list(cache.rglob(f"*{PART}"))


def test_bytes_that_are_not_the_hubs_are_thrown_away(hub_server: HubServer, repo: Repo, job: Job, cache: Path) -> None:
    hub_server.faults[WEIGHTS] = Fault("corrupt")
    with pytest.raises(JobError, match="other bytes than the hub says"):
        fetch(job, NAME, None)
    assert whole_snapshot(NAME) is None
    assert not list(cache.rglob(f"*{PART}"))
    assert (fetch(job, NAME, None) / WEIGHTS).read_bytes() == repo.files[WEIGHTS]


def test_a_server_that_knows_no_ranges_is_asked_for_everything(
    hub_server: HubServer, repo: Repo, job: Job, cache: Path
) -> None:
    hub_server.faults[WEIGHTS] = Fault("whole", times=9)
    put_part(cache, repo, 5000)
    assert (fetch(job, NAME, None) / WEIGHTS).read_bytes() == repo.files[WEIGHTS]


def test_a_revision_is_that_revision(hub_server: HubServer, repo: Repo, job: Job) -> None:
    repo.branches["v2"] = repo.commit
    folder = fetch(job, NAME, "v2")
    assert folder == whole_snapshot(NAME, "v2") == whole_snapshot(NAME, repo.commit)
    with pytest.raises(JobError, match="has no revision v3"):
        fetch(job, NAME, "v3")


def test_a_gated_model_says_where_to_accept_and_what_to_log_in_with(
    repo: Repo, hub_server: HubServer, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.gated = True
    with pytest.raises(JobError, match="is gated, and no token is set up here") as raised:
        fetch(job, NAME, None)
    assert f"accept its terms at {hub_server.url}/{NAME}" in str(raised.value.hint)
    assert "hf auth login" in str(raised.value.hint)
    monkeypatch.setenv("HF_TOKEN", "hf_OfAnother")
    with pytest.raises(JobError, match="the token that is set up here has no access to it"):
        fetch(job, NAME, None)
    assert hub_server.sent[WEIGHTS] == 0
    job.home.secrets.write_text(f"HF_TOKEN={TOKEN}\n")
    job.home.secrets.chmod(0o600)
    fetch(job, NAME, None)
    assert TOKEN not in job.events.path.read_text()
    # Large files lie on another host, which is not told the token.
    asked = [headers for _, path, headers in hub_server.seen if path.startswith("/large/")]
    assert asked and not any("authorization" in headers for headers in asked)


def test_offline_nothing_is_asked_for(
    repo: Repo, hub_server: HubServer, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(JobError, match="downloads are switched off"):
        fetch(job, NAME, None)
    assert hub_server.seen == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = fetch(job, NAME, None)
    hub_server.seen.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(job, NAME, None) == folder
    assert hub_server.seen == []


def test_weights_that_can_carry_code_are_fetched_only_when_agreed(hub_server: HubServer, repo: Repo, job: Job) -> None:
    repo.files["pytorch_model.bin"] = repo.files.pop(WEIGHTS)
    with pytest.raises(JobError, match=r"only there as pytorch_model\.bin, a pickle") as raised:
        fetch(job, NAME, None)
    assert "--allow-pickle" in str(raised.value.hint)
    assert hub_server.sent["pytorch_model.bin"] == 0
    folder = fetch(job, NAME, None, allow_pickle=True)
    assert (folder / "pytorch_model.bin").is_file()


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    hub_server: HubServer, repo: Repo, job: Job, cache: Path
) -> None:
    repo.claims[WEIGHTS] = 10**17
    with pytest.raises(JobError, match=r"needs 100000000\.\d\d GB more in .*cache, .* GB are free there") as raised:
        fetch(job, NAME, None)
    assert "HF_HUB_CACHE" in str(raised.value.hint)
    assert not list(cache.rglob("*.safetensors"))
    assert hub_server.sent[WEIGHTS] == 0


def test_a_hub_that_is_away_is_said_and_a_copy_is_used(
    hub_server: HubServer, repo: Repo, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.status = 503
    with pytest.raises(JobError, match="HTTP 503"):
        fetch(job, NAME, None)
    hub_server.status = 200
    folder = fetch(job, NAME, "main")
    hub_server.status = 503
    assert fetch(job, NAME, "main") == folder
    assert any("the copy on this machine is used" in event["text"] for event in events(job, "message"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(JobError, match="cannot be reached"):
        fetch(job, "org/other", None)
