"""Images that cannot be read and samples that are too long: left out, counted and told, the same after a resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.jobs.job import Job, JobError
from backends.work.finetune import finetune
from backends.work.training import samples as choosing

pytestmark = pytest.mark.xdist_group("heavy")

IMAGES = 24


@pytest.fixture
def data(tmp_path: Path, phantom_set: dict[str, str]) -> dict[str, Any]:
    """24 images of one question each, copies whose files a test may break."""
    source = [json.loads(line) for line in Path(phantom_set["train"]).read_text().splitlines()]
    root = tmp_path / "images"
    root.mkdir()
    lines = []
    for at in range(IMAGES):
        line = source[(4 * at) % len(source)]
        name = f"{at:02}.png"
        with Image.open(Path(phantom_set["images"]) / line["images"][0]) as image:
            image.save(root / name)
        lines.append({**line, "images": [name]})
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"path": str(path), "image_root": str(root), "limit": None}


@pytest.fixture
def make(make_job: Callable[..., Job], data: dict[str, Any]) -> Callable[..., Job]:
    def get(run_id: int = 1, **training: Any) -> Job:
        given = {"method": "peft", "max_steps": 4, "batch_size": 4, "save_every": 2, **training}
        return make_job(run_id, kind="finetune", task=None, data=data, training=given)

    return get


def _break(data: dict[str, Any], *numbers: int) -> None:
    for at in numbers:
        path = Path(data["image_root"]) / f"{at:02}.png"
        path.write_bytes(path.read_bytes()[:60])


def _warnings(read_events: Callable[..., list[dict[str, Any]]], job: Job) -> list[str]:
    return [event["text"] for event in read_events(job, "message") if event["level"] == "warning"]


def test_one_bad_image_is_left_out_and_told(make: Any, data: dict[str, Any], read_events: Any) -> None:
    _break(data, 7)
    job = make()
    summary = finetune(job)
    assert (summary["samples"], summary["unreadable_samples"]) == (IMAGES - 1, 1)
    [said] = _warnings(read_events, job)
    assert said.startswith("1 of 24 images cannot be read (07.png") and "1 of 24 samples are left out" in said
    assert next(iter(json.loads((job.dir / choosing.LEFT_OUT).read_text())["unreadable"])).startswith("07.png#")


@pytest.mark.parametrize("numbers", [(1, 2), range(IMAGES)])
def test_too_many_are_refused(make: Any, data: dict[str, Any], numbers: Any) -> None:
    _break(data, *numbers)
    with pytest.raises(JobError, match=f"{len(numbers)} of 24 images cannot be read .*01.png") as caught:
        finetune(make())
    assert "mend" in (caught.value.hint or "")


def test_what_breaks_later_is_passed_over(
    make: Any, data: dict[str, Any], read_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the images were looked at, before they are trained on."""
    before = choosing.readable

    def look_then_break(*given: Any, **options: Any) -> Any:
        chosen = before(*given, **options)
        _break(data, 5)
        return chosen

    monkeypatch.setattr("backends.work.finetune.readable", look_then_break)
    job = make(max_steps=12)  # two epochs: each image is met
    summary = finetune(job)
    assert (summary["steps"], summary["images_lost"]) == (12, 1)
    [said] = _warnings(read_events, job)
    assert "05.png" in said


def test_a_resumed_training_leaves_out_the_same(
    make: Any, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = choosing.readable

    def look_then_stop(job: Job, *given: Any, **options: Any) -> Any:
        chosen = before(job, *given, **options)
        (job.dir / "control.json").write_text('{"stop": true}')
        return chosen

    whole = Path(data["image_root"]) / "03.png"
    content = whole.read_bytes()
    _break(data, 3)
    job = make()
    monkeypatch.setattr("backends.work.finetune.readable", look_then_stop)
    assert finetune(job)["stopped"]
    monkeypatch.undo()
    whole.write_bytes(content)
    (job.dir / "control.json").write_text('{"stop": false}')
    again = finetune(job)
    assert (again["steps"], again["samples"], again["unreadable_samples"]) == (4, IMAGES - 1, 1)


def test_samples_that_are_too_long_are_left_out_not_cut(make: Any, data: dict[str, Any], read_events: Any) -> None:
    path = Path(data["path"])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[4]["messages"][-1]["content"] = "x" * 150
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    plain = finetune(make(1))
    assert "too_long_samples" not in plain
    job = make(2, max_length=150)
    summary = finetune(job)
    assert (summary["samples"], summary["too_long_samples"]) == (IMAGES - 1, 1)
    [said] = _warnings(read_events, job)
    assert "1 of 24 samples have more than max_length = 150 tokens" in said and "max_pixels" in said
    assert 0 < summary["loss_tokens_an_epoch"] < plain["loss_tokens_an_epoch"] < plain["tokens_an_epoch"]
    with pytest.raises(JobError, match="24 samples have more than max_length = 8 tokens"):
        finetune(make(3, max_length=8))


def test_the_tokens_with_loss_are_told(make: Any, read_events: Any) -> None:
    job = make()
    summary = finetune(job)
    said = [event["text"] for event in read_events(job, "message") if "masked" in event["text"]]
    assert said == [
        f"loss on {summary['loss_tokens_an_epoch']:,} of {summary['tokens_an_epoch']:,} tokens an epoch "
        f"({100 * summary['loss_tokens_an_epoch'] / summary['tokens_an_epoch']:.1f} %): "
        "the answers; prompts and images are masked"
    ]
