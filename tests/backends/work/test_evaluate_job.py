from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.job import Job, JobError
from backends.work import work_function
from backends.work.predictions import Predictions

pytestmark = pytest.mark.xdist_group("heavy")

FIELDS = {"id", "image_path", "category", "question", "prediction", "reference", "latency_s", "output_tokens", "error"}


@pytest.fixture
def test_set(phantom_set: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """Six test images of which one is cut off in the middle."""
    images = Path(shutil.copytree(phantom_set["images"], tmp_path / "images"))
    victim = sorted(images.rglob("*_test_*.png"))[2]
    victim.write_bytes(victim.read_bytes()[:300])
    return {"path": phantom_set["test"], "image_root": str(images), "limit": None}


def _answers(job: Job) -> set[tuple[Any, ...]]:
    records = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    assert all(set(record) == FIELDS for record in records)
    assert len({record["id"] for record in records}) == len(records)
    return {tuple(value for key, value in sorted(record.items()) if key != "latency_s") for record in records}


def _evaluate(job: Job) -> dict[str, Any]:
    return work_function(job.spec)(job)


def test_every_answer_is_kept_and_scored(
    make_job: Callable[..., Job], test_set: dict[str, Any], read_events: Callable[..., list[dict[str, Any]]]
) -> None:
    job = make_job(1, data=test_set)
    summary = _evaluate(job)
    assert (summary["samples"], summary["answered"], summary["failed"]) == (24, 20, 4)
    records = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    failed = [record for record in records if record["error"]]
    assert len({record["image_path"] for record in failed}) == 1
    assert all(record["prediction"] is None and record["output_tokens"] is None for record in failed)
    assert all(record["latency_s"] > 0 for record in records if not record["error"])
    scores = json.loads((job.dir / "scores.json").read_text())
    assert scores["finished"] is True
    overall = {row["metric"]: row for row in scores["scores"] if row["question"] is None and row["category"] is None}
    assert set(overall) == {"cosine", "exact"}
    assert (overall["exact"]["n"], overall["exact"]["failed"]) == (24, 4)
    assert overall["exact"]["value"] < overall["exact"]["floors"]["majority"]
    [started] = read_events(job, "started")
    assert (started["total"], started["unit"], started["device"]) == (24, "samples", "cpu")
    assert {"torch", "transformers"} <= set(started["versions"])
    assert read_events(job, "progress")[-1]["done"] == 24
    growing = read_events(job, "score")
    assert growing
    assert {row["metric"] for row in growing} == {"cosine", "exact"}
    assert all(row["partial"] and row["question"] is None and row["category"] is None for row in growing)
    assert growing[-1]["n"] == 24


def test_a_resumed_run_ends_with_the_same_answers(make_job: Callable[..., Job], test_set: dict[str, Any]) -> None:
    whole, broken = (make_job(number, data=test_set, fingerprint="the same") for number in (1, 2))
    _evaluate(whole)
    lines = whole.predictions.read_bytes().splitlines(keepends=True)
    broken.predictions.write_bytes(b"".join(lines[:11]) + lines[11][:40])
    summary = _evaluate(broken)
    assert summary["asked_now"] == 24 - 11
    assert _answers(broken) == _answers(whole)
    assert broken.predictions.read_bytes().startswith(b"".join(lines[:11]))
    assert json.loads((broken.dir / "scores.json").read_text()) == json.loads((whole.dir / "scores.json").read_text())


def test_a_run_that_was_done_asks_nothing(make_job: Callable[..., Job], test_set: dict[str, Any]) -> None:
    job = make_job(1, data={**test_set, "limit": 6})
    _evaluate(job)
    before, scores = job.predictions.read_bytes(), (job.dir / "scores.json").read_bytes()
    (job.dir / "scores.json").unlink()
    assert _evaluate(job)["asked_now"] == 0
    assert job.predictions.read_bytes() == before
    assert (job.dir / "scores.json").read_bytes() == scores


def test_a_limit_takes_more_than_the_first_category(make_job: Callable[..., Job], test_set: dict[str, Any]) -> None:
    job = make_job(1, data={**test_set, "limit": 8})
    assert _evaluate(job)["samples"] == 8
    records = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    assert len({record["category"] for record in records}) > 2


@pytest.mark.parametrize("part", [{"data": None}, {"scoring": {"embedding": "no-such-embedding"}}])
def test_what_cannot_be_used_is_said(
    make_job: Callable[..., Job], test_set: dict[str, Any], part: dict[str, Any]
) -> None:
    with pytest.raises(JobError) as caught:
        _evaluate(make_job(1, **{"data": test_set, **part}))
    assert caught.value.hint


def test_a_run_that_left_no_model_is_said(
    make_job: Callable[..., Job], test_set: dict[str, Any], tiny_checkpoint: Path
) -> None:
    job = make_job(1, data=test_set, model={"source": str(tiny_checkpoint), "from_run": 77})
    with pytest.raises(JobError, match="run 77"):
        _evaluate(job)


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": 1}\n{}\n')
    with pytest.raises(JobError, match=r"predictions\.jsonl:1"):
        Predictions(path)


def test_data_that_changed_after_it_was_queued_is_refused(
    make_job: Callable[..., Job], test_set: dict[str, Any], tmp_path: Path
) -> None:
    from backends.data.validate import file_sha256

    path = Path(shutil.copy(test_set["path"], tmp_path / "test.jsonl"))
    job = make_job(1, data={**test_set, "path": str(path), "sha256": file_sha256(path)})
    path.write_text(path.read_text().replace("Femur", "Femora"))
    with pytest.raises(JobError, match="changed after this run was queued"):
        _evaluate(job)
    assert not job.predictions.exists()


def test_a_model_that_cannot_be_downloaded_fails_at_once_and_says_so(
    make_job: Callable[..., Job],
    test_set: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://nowhere.invalid")
    model = {"name": "m", "source": "no-such-org/no-such-model", "revision": None, "from_run": None}
    job = make_job(1, data=test_set, model=model)
    with pytest.raises(JobError, match=r"nowhere\.invalid cannot be reached"):
        _evaluate(job)
    assert not job.predictions.exists()
