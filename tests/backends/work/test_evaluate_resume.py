"""A run that was interrupted gives the answers of one that was not, whatever batches it needs, and batches change none."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from backends.data.sample import Sample
from backends.jobs.job import Job
from backends.models.base import Generation, Reply
from backends.models.transformers_loader import TransformersModel, load
from backends.work.asking import Asker
from backends.work.common import read_samples
from backends.work.evaluate import ask_all, asker_of
from backends.work.predictions import Predictions

pytestmark = pytest.mark.xdist_group("heavy")


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> TransformersModel:
    return load(tiny_checkpoint, device="cpu", generation=Generation(12))


@pytest.fixture(scope="module")
def sampling(tiny_checkpoint: Path) -> TransformersModel:
    return load(tiny_checkpoint, device="cpu", generation=Generation(12, do_sample=True))


@pytest.fixture(scope="module")
def samples(phantom_set: dict[str, str]) -> list[Sample]:
    return read_samples(phantom_set["test"], phantom_set["images"], None, 0)


def _ask(job: Job, model: TransformersModel, samples: list[Sample]) -> dict[str, Any]:
    predictions = Predictions(job.predictions)
    try:
        ask_all(job, asker_of(job, model), samples, predictions)
    finally:
        predictions.close()
    return _answers(job)


def _answers(job: Job) -> dict[str, Any]:
    records = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    assert len({record["id"] for record in records}) == len(records)
    return {record["id"]: (record["prediction"], record["output_tokens"], record["error"]) for record in records}


def _generation(size: int, **more: Any) -> dict[str, Any]:
    return {"max_new_tokens": 12, "batch_size": size, "do_sample": False, **more}


def test_the_size_of_a_batch_changes_no_answer(model: TransformersModel, samples: list[Sample]) -> None:
    found = []
    for size in (1, 5, 24):
        asked = [one for results in Asker(model, size).run(samples) for one in results]
        found.append({one.sample.id: one.reply for one in asked})
    assert found[0] == found[1] == found[2]
    assert len({reply.text for reply in found[0].values() if reply}) > 3


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("lines", [0, 1, 5, 6, 23])
def test_an_interrupted_run_gives_the_answers_of_a_whole_one(
    make_job: Callable[..., Job],
    model: TransformersModel,
    sampling: TransformersModel,
    samples: list[Sample],
    lines: int,
    do_sample: bool,
) -> None:
    whole, broken = (make_job(number, generation=_generation(5, do_sample=do_sample)) for number in (1, 2))
    asked = sampling if do_sample else model
    expected = _ask(whole, asked, samples)
    with open(whole.predictions, "rb") as file:
        broken.predictions.write_bytes(b"".join(islice(file, lines)) + b'{"id": "torn')
    torch.manual_seed(lines)  # of another process
    assert _ask(broken, asked, samples) == expected


def test_where_memory_ran_out_a_resumed_run_asks_in_the_same_batches(
    make_job: Callable[..., Job], model: TransformersModel, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real, room = model.answer, 6

    def answer(prepared: Any) -> list[Reply]:
        size = len(prepared["input_ids"])
        if len(sizes) >= 2 and size > room:
            raise torch.OutOfMemoryError("full")
        sizes.append(size)
        return real(prepared)

    monkeypatch.setattr(model, "answer", answer)
    whole, broken = (make_job(number, generation=_generation(8)) for number in (1, 2))
    expected = _ask(whole, model, samples)
    assert sizes == [8, 8, 4, 4]
    # Another process, with more memory: 18 answers are there.
    room = 100
    lines = whole.predictions.read_bytes().splitlines(keepends=True)
    broken.predictions.write_bytes(b"".join(lines[:18]))
    (broken.dir / "batches.json").write_bytes((whole.dir / "batches.json").read_bytes())
    assert _ask(broken, model, samples) == expected
    assert sizes[4:] == [4, 4]


def test_the_batch_that_memory_had_no_room_for_is_said(
    make_job: Callable[..., Job],
    model: TransformersModel,
    samples: list[Sample],
    monkeypatch: pytest.MonkeyPatch,
    read_events: Callable[[Job, str], list[dict[str, Any]]],
) -> None:
    real = model.answer

    def answer(prepared: Any) -> list[Reply]:
        if len(prepared["input_ids"]) > 4:
            raise torch.OutOfMemoryError("full")
        return real(prepared)

    monkeypatch.setattr(model, "answer", answer)
    job = make_job(1, generation=_generation(8))
    assert len(_ask(job, model, samples)) == 24
    assert [event["text"] for event in read_events(job, "message")] == ["out of memory: the batch is now 4"]
