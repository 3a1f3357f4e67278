"""ONNX by transformers' own exporter, run by onnxruntime and asked what the model is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backends.jobs.job import Job, JobError
from backends.work import work_function
from backends.work.convert.onnx import padded
from tests.backends.models.conformance.tiny.checkpoint import build

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.slow]

MakeJob = Callable[..., Job]


@pytest.fixture
def make_onnx(make_job: MakeJob, tiny_checkpoint: Path, phantom_set: dict[str, str]) -> MakeJob:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason=f"{name} is not installed: nothing was exported to ONNX")

    def make(questions: int, source: Path = tiny_checkpoint) -> Job:
        data = {"path": phantom_set["val"], "image_root": phantom_set["images"], "limit": questions}
        return make_job(
            2,
            kind="convert",
            task=None,
            model={"name": "tiny", "source": str(source), "revision": None, "from_run": None},
            convert={"to": "onnx", "quant": None, "check": questions, "tools": {}},
            data=data if questions else None,
        )

    return make


def _events(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.dir / "events.jsonl").read_text().splitlines()]


def _do(job: Job) -> dict[str, Any]:
    return work_function(job.spec)(job)


def test_onnxruntime_answers_as_the_original(make_onnx: MakeJob) -> None:
    job = make_onnx(4)
    summary = _do(job)
    assert (summary["check"]["items"], summary["check"]["failed"], summary["check"]["agreement"]) == (4, 0, 1.0)
    [file] = summary["files"]
    assert file["path"] == "onnx" and file["bytes"] > summary["bytes_before"] / 2
    assert (job.dir / "onnx/model.onnx").is_file() and (job.dir / "onnx/tokenizer.json").is_file()
    assert summary["tokens"] % 32 == 0
    answers = [json.loads(line) for line in (job.dir / "predictions.jsonl").read_text().splitlines()]
    assert len(answers) == 4 and any(one["prediction"] for one in answers)
    assert not (job.dir / "whole").exists() and not (job.dir / "onnx.tmp").exists()


@pytest.mark.parametrize("architecture", ["idefics3", "smolvlm", "internvl"])
def test_where_a_model_cuts_images_into_tiles_the_export_does_not_and_says_what_that_changes(
    architecture: str, make_onnx: MakeJob, tmp_path: Path
) -> None:
    """SmolVLM (both architectures): the exported file answers as the model does without tiles."""
    job = make_onnx(4, build(architecture, tmp_path / architecture))
    check = _do(job)["check"]
    assert (check["items"], check["failed"]) == (4, 0)
    assert check["one_tile"]["agreement"] == 1.0 and check["one_tile"]["original"] == check["exported"]
    [said] = [event["text"] for event in _events(job) if "the exported file gives" in event.get("text", "")]
    assert said.endswith("to 100.0% where the original sees no tiles either")
    answers = [json.loads(line) for line in (job.dir / "predictions.jsonl").read_text().splitlines()]
    assert len({one["prediction"] for one in answers}) > 1
    if architecture != "internvl":
        assert check["agreement"] < 1.0  # random weights: what is seen decides what is said


@pytest.mark.parametrize("architecture", ["gemma3", "paligemma"])
def test_other_architectures_with_a_route_answer_as_the_original(
    architecture: str, make_onnx: MakeJob, tmp_path: Path
) -> None:
    check = _do(make_onnx(4, build(architecture, tmp_path / architecture)))["check"]
    assert (check["failed"], check["agreement"]) == (0, 1.0) and "one_tile" not in check


def test_without_questions_it_is_exported_all_the_same(make_onnx: MakeJob) -> None:
    job = make_onnx(0)
    summary = _do(job)
    assert "why_not" in summary["check"] and (job.dir / "onnx/model.onnx").is_file()


def test_a_prompt_is_filled_up_on_the_right_and_a_longer_one_is_refused() -> None:
    given = {"input_ids": torch.tensor([[5, 6]]), "attention_mask": torch.ones(1, 2, dtype=torch.long)}
    images = torch.zeros(1, 3, 4, 4)
    filled = padded({**given, "pixel_values": images}, 4, {"input_ids": 9})
    assert filled["input_ids"].tolist() == [[5, 6, 9, 9]]
    assert filled["attention_mask"].tolist() == [[1, 1, 0, 0]]
    assert filled["pixel_values"] is images
    with pytest.raises(JobError, match="2 tokens does not fit"):
        padded(given, 1, {})
