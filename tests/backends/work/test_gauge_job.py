from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.door import open_data
from backends.jobs.job import Job
from backends.work import work_function
from backends.work.gauge import prepare

pytestmark = pytest.mark.xdist_group("heavy")

OPTIONS = ["Abdomen", "Femur", "Trans-thalamic", "Trans-ventricular"]


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "gauge"
    folder.mkdir()
    lines = []
    for at in range(12):
        Image.new("L", (40, 40), 20 * at).save(folder / f"{at}.png")
        task = ("PI", "VC")[at % 2]
        options = OPTIONS if task == "PI" else ["yes", "no"]
        record = {"id": at, "image": f"{at}.png", "task": task, "question": "Which?", "options": options}
        lines.append(json.dumps({**record, "answer": options[at % len(options)], "source": "s", "box_size": None}))
    (folder / "5.png").write_bytes(b"\x89PNG")
    (folder / "test.jsonl").write_text("\n".join(lines))
    return {"path": str(folder / "test.jsonl"), "image_root": str(folder), "limit": None}


def test_a_real_model(make_job: Callable[..., Job], data: dict[str, Any]) -> None:
    job = make_job(1, task="fetal-gauge", scoring=None, data=data)
    summary = work_function(job.spec)(job)
    assert (summary["samples"], summary["failed"]) == (12, 1)
    scores = json.loads((job.dir / "scores.json").read_text())
    overall = next(row for row in scores["scores"] if row["question"] is None and row["category"] is None)
    assert (overall["metric"], overall["n"], overall["failed"]) == ("accuracy", 12, 1)
    assert overall["floors"]["chance"] == pytest.approx((6 * 0.25 + 6 * 0.5) / 12)
    assert {row["category"] for row in scores["scores"]} == {None, "source s"}
    assert any(row["model"] == "tiny" for row in scores["leaderboard"])
    records = {one["id"]: one for one in map(json.loads, job.predictions.read_text().splitlines())}
    assert records["0.png#PI"]["question"].count("\n") == 5 and "\nD. " in records["0.png#PI"]["question"]
    # A run that is done asks nothing, and scores the same.
    assert work_function(job.spec)(job)["asked_now"] == 0
    assert json.loads((job.dir / "scores.json").read_text()) == scores


def test_options_are_shuffled_by_the_seed_alone(data: dict[str, Any]) -> None:
    samples = list(open_data(Path(data["path"]), "fetal-gauge"))
    first = [prepare(sample, 0)[1] for sample in samples]
    assert first[::-1] == [prepare(sample, 0)[1] for sample in samples[::-1]]
    assert first != [prepare(sample, 1)[1] for sample in samples]
    for sample, entry in zip(samples, first, strict=True):
        assert entry["options"][entry["answer"]] == sample.reference
        assert sorted(entry["options"]) == sorted((sample.kind_data or {})["options"])
    assert len({tuple(entry["options"]) for entry in first if len(entry["options"]) == 4}) > 1
