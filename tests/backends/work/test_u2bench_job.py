from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.jobs.job import Job
from backends.work import work_function
from backends.work.u2bench import prepare

pytestmark = pytest.mark.xdist_group("heavy")

HEADER = (
    *("dataset_name", "img_data", "patient_id", "prompt", "anatomy_location", "demographic", "classification_task"),
    *("class_label", "options", "seg_data", "seg_channel_name", "gt_bbox", "keypoints", "measurement"),
    *("caption", "report", "notes"),
)
ANSWERS: dict[str, dict[str, list[str]]] = {
    "disease_diagnosis": {"class_label": ["benign", "malignant"], "options": ["['benign', 'malignant']"] * 2},
    "view_recognition_and_assessment": {"class_label": ["2CH", "4CH"]},
    "lesion_localisation": {"gt_bbox": ["{'lesion': [0.2, 0.2, 0.1, 0.1]}", ""]},
    "organ_detection": {"gt_bbox": ["[{'head': [30, 2, 1, 1]}]", "[{'head': [0.5, 0.5, 1, 1]}]"]},
    "keypoint_detection": {"keypoints": ["{'valve': [0.9, 0.9]}", "{'valve': [0.1, 0.9]}"]},
    "clinical_value_estimation": {"measurement": ["{'EF': 55.0}", "{'EF': 20.0}"]},
    "report_generation": {"report": ["The liver is normal in size.", "A nodule is seen in the left lobe."]},
    "caption_generation": {"caption": ["Femur plane.", "Abdominal plane."]},
}


def picture(grey: int) -> str:
    data = io.BytesIO()
    Image.new("L", (32, 24), grey).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def make_benchmark(folder: Path, tasks: tuple[str, ...] = tuple(ANSWERS)) -> dict[str, Any]:
    for at, task in enumerate(tasks):
        (folder / task).mkdir(parents=True)
        with open(folder / task / "18.tsv", "w", newline="") as file:
            writer = csv.DictWriter(file, HEADER, restval="", dialect="excel-tab", lineterminator="\n")
            writer.writeheader()
            for row in range(4):
                cells = {name: values[row % 2] for name, values in ANSWERS[task].items()}
                image = picture(20 * row + at) if row < 3 else picture(at)[:60] + "!" * 2000
                writer.writerow(
                    {"dataset_name": "18", "img_data": image, "prompt": f"{task}?\noptions: 2CH, 4CH", **cells}
                )
    return {"path": str(folder), "image_root": None, "limit": None}


def run(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    summary = work_function(job.spec)(job)
    return summary, json.loads((job.dir / "scores.json").read_text())


def test_a_real_model_on_all_eight_tasks(
    make_job: Callable[..., Job], tmp_path: Path, read_events: Callable[..., list[dict[str, Any]]]
) -> None:
    job = make_job(1, task="u2bench", scoring=None, data=make_benchmark(tmp_path / "u2"))
    summary, scores = run(job)
    assert (summary["samples"], summary["failed"]) == (32, 8)
    records = {one["id"]: one for one in map(json.loads, job.predictions.read_text().splitlines())}
    places = [one["reference"] for name, one in records.items() if "#OD" in name and not one["error"]]
    assert sorted(places) == ["center", "upper right", "upper right"]
    assert "not visible" in {one["reference"] for name, one in records.items() if "#LL" in name}
    assert {one["error"] for one in records.values()} == {None, "img_data is not base64 of an image"}
    rows = {(row["metric"], row["question"]): row for row in scores["scores"]}
    assert ("u2_score", None) in rows and ("u2_score_lenient", None) in rows
    assert rows["accuracy", "DD"]["n"] == 4 and rows["accuracy", "DD"]["failed"] == 1
    assert rows["accuracy", "VRA"]["floors"]["chance"] == 0.5  # from the prompt
    assert rows["u2_score", None]["ci_low"] is None  # four images a data set
    assert len(scores["leaderboard"]) == 26
    assert summary["scores"]["u2_score"] == rows["u2_score", None]["value"]
    assert read_events(job, "score")[-1]["partial"] is True
    key = json.loads((job.dir / "key.json").read_text())
    assert set(key) == set(records)


def test_a_run_that_goes_on_gives_the_same(make_job: Callable[..., Job], tmp_path: Path) -> None:
    data = make_benchmark(tmp_path / "u2", ("disease_diagnosis", "organ_detection"))
    whole, broken = (make_job(number, task="u2bench", scoring=None, data=data) for number in (1, 2))
    _, expected = run(whole)
    lines = whole.predictions.read_bytes().splitlines(keepends=True)
    broken.predictions.write_bytes(b"".join(lines[:3]))
    summary, scores = run(broken)
    assert summary["asked_now"] == 5
    assert "u2_score" not in summary["scores"] and "DD accuracy" in summary["scores"]
    assert scores["scores"] == expected["scores"]


def test_a_picture_that_is_broken_is_no_reason_to_stop(tmp_path: Path) -> None:
    from backends.data.door import open_data

    make_benchmark(tmp_path / "u2", ("organ_detection",))
    samples = list(open_data(tmp_path / "u2", "u2bench"))
    assert [prepare(sample, 0)[0].reference for sample in samples] == ["upper right", "center", "upper right", ""]


def test_stored_answers_are_scored_again_by_their_key(make_job: Callable[..., Job], tmp_path: Path) -> None:
    from db.migrate import migrate

    job = make_job(1, task="u2bench", scoring=None, data=make_benchmark(tmp_path / "u2"))
    migrate(job.home)
    _, first = run(job)
    (job.dir / "attempts").mkdir()
    (job.dir / "attempts" / "1.json").write_text(
        json.dumps({"number": 1, "exit_code": 0, "ended": 2.0, "started": 1.0})
    )
    job.events.finished()
    path = job.dir / "scores.json"
    path.write_text(json.dumps({**first, "scores": [], "leaderboard": []}))
    tool = make_job(2, kind="tool", task=None, data=None, tool={"name": "rescore", "args": {"run": 1}})
    summary = work_function(tool.spec)(tool)
    assert summary["kept"] == "scores.1.json"
    again = json.loads(path.read_text())
    assert again["scores"] == first["scores"] and again["leaderboard"] == first["leaderboard"]
