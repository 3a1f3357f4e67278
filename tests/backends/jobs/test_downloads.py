"""To which commit a job is pinned, what is refused before it is queued, and what is left to the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.catalog.remote import ask_hub
from backends.catalog.resolve import ResolvedModel
from backends.estimate.weights import find_weights
from backends.jobs.downloads import KEPT_FREE, PART, Room, kept, missing_files, pinned, room_for
from backends.jobs.errors import QueueError
from tests.hub_server import HubServer, Repo

NAME = "org/tiny"


@pytest.fixture
def repo(hub_server: HubServer, tiny_checkpoint: Path) -> Repo:
    return hub_server.add(NAME, tiny_checkpoint)


def model(source: str = NAME, revision: str | None = None) -> ResolvedModel:
    return ResolvedModel("tiny", None, source, "transformers", revision)


def test_a_job_is_pinned_to_what_the_hub_has_now(repo: Repo) -> None:
    assert pinned(model()).revision == repo.commit
    repo.branches["v2"] = repo.commit
    assert pinned(model(revision="v2")).revision == repo.commit


def test_what_the_hub_says_of_its_files_is_the_size_of_a_model_that_nothing_else_knows(
    hub_server: HubServer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    weights = (tiny_checkpoint / "model.safetensors").stat().st_size
    for name, each in (("org/unnamed", 2), ("org/vlm-0.24M", 4)):
        repo = hub_server.add(name, tiny_checkpoint)
        before = find_weights({"source": name, "revision": repo.commit})
        assert before.params != weights / each
        assert pinned(model(name)).revision == repo.commit
        after = find_weights({"source": name, "revision": repo.commit})
        assert after.params == pytest.approx(weights / each)
        assert "the files that the hub has" in after.source


def test_a_hub_that_does_not_answer_is_left_to_the_job(hub_server: HubServer, repo: Repo) -> None:
    hub_server.status = 503
    assert pinned(model()).revision is None


def test_what_asking_again_does_not_change_is_refused(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueueError, match="the hub has no model org/none"):
        pinned(model("org/none"))
    repo.gated = True
    with pytest.raises(QueueError, match="is gated"):
        pinned(model())
    repo.gated = False
    repo.claims["model.safetensors"] = 10**17
    with pytest.raises(QueueError, match="GB more"):
        pinned(model())
    repo.claims.clear()
    repo.files["pytorch_model.bin"] = repo.files.pop("model.safetensors")
    with pytest.raises(QueueError, match="a pickle"):
        pinned(model())
    assert pinned(model(), allow_pickle=True).revision == repo.commit
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(QueueError, match="downloads are switched off"):
        pinned(model())


def test_what_came_before_needs_no_room(hub_server: HubServer, repo: Repo, tmp_path: Path) -> None:
    found = ask_hub(NAME)
    whole = room_for(found)
    assert whole.needed == found.bytes
    large = next(file for file in found.files if file.sha256)
    blobs = tmp_path / "cache/models--org--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{large.sha256}{PART}").write_bytes(bytes(1000))
    assert room_for(found).needed == whole.needed - 1000
    assert len(missing_files(found)) == len(found.files)
    assert (kept(NAME).commit, kept(NAME).bytes) == (None, 1000)


def test_a_little_stays_free() -> None:
    assert Room(10, KEPT_FREE + 10, Path("/")).fits
    assert not Room(10, KEPT_FREE + 9, Path("/")).fits
    assert Room(0, 0, Path("/")).fits


def test_a_folder_with_pickles_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(QueueError, match=r"only there as model\.bin"):
        pinned(model(str(tmp_path)))
    assert pinned(model(str(tmp_path)), allow_pickle=True) == model(str(tmp_path))
