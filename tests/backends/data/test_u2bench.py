from __future__ import annotations

import base64
import csv
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.door import open_data
from backends.data.errors import DataError
from backends.data.images import ImageError, open_image
from backends.data.table import read_cell, read_rows
from backends.data.u2bench import read_u2bench
from backends.data.validate import validate

HEADER = (
    *("dataset_name", "img_data", "patient_id", "prompt", "anatomy_location", "demographic", "classification_task"),
    *("class_label", "options", "seg_data", "seg_channel_name", "gt_bbox", "keypoints", "measurement"),
    *("caption", "report", "notes"),
)


def picture(grey: int, size: int = 16) -> str:
    data = io.BytesIO()
    Image.new("L", (size, size), grey).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def row(**cells: str) -> dict[str, str]:
    return {"dataset_name": "21", "img_data": picture(7), "prompt": "Which?\noptions: 'a', 'b'", **cells}


EXPLANATION = row(dataset_name="name of the set", img_data="the image, in base64", prompt="what is asked")


def write(folder: Path, task: str, *rows: dict[str, str], name: str = "21.tsv") -> Path:
    (folder / task).mkdir(parents=True, exist_ok=True)
    path = folder / task / name
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, restval="", dialect="excel-tab", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_row(tmp_path: Path) -> None:
    cells: dict[str, Any] = {"class_label": "malignant", "options": "['benign', 'malignant']", "patient_id": "p1"}
    path = write(tmp_path, "disease_diagnosis", EXPLANATION, row(**cells, anatomy_location="breast"))
    (sample,) = read_u2bench([path])
    assert (sample.topic, sample.category, sample.reference, sample.problem) == ("DD", "21", "malignant", None)
    assert sample.id == f"{sample.image_path}#DD" and sample.image_path.startswith("21/")
    assert sample.question == "Which?\noptions: 'a', 'b'"
    assert sample.line == 3
    kind = sample.kind_data
    assert kind is not None
    assert (kind["options"], kind["patient"], kind["anatomy"]) == (("benign", "malignant"), "p1", "breast")
    assert open_image(sample).getpixel((3, 3)) == (7, 7, 7)


def test_eight_folders_and_one_file(tmp_path: Path) -> None:
    write(tmp_path, "disease_diagnosis", EXPLANATION, row(class_label="benign"))
    write(tmp_path, "organ_detection", row(gt_bbox="[[1, 2, 3, 4]]"), row(gt_bbox="{'x': 1}", img_data=picture(9)))
    write(tmp_path, "clinical_value_estimation", row(measurement="42.5"), row(measurement="{'EF': 3}"))
    write(tmp_path, "caption_generation", row(caption="A picture."))
    path = write(tmp_path, "other", row(report="All is well."))
    samples = list(open_data(tmp_path, "u2bench"))
    assert [sample.topic for sample in samples] == ["CG", "CVE", "CVE", "DD", "OD", "OD"]
    assert [sample.reference for sample in samples[:3]] == ["A picture.", "42.5", "{'EF': 3}"]
    assert [(s.kind_data or {})["boxes"] for s in samples[4:]] == [[[1, 2, 3, 4]], {"x": 1}]
    # The same picture belongs together across tasks, and twice in one task has an ordinal.
    assert samples[0].image_path == samples[3].image_path == samples[4].image_path != samples[5].image_path
    assert [sample.id[-5:] for sample in samples[1:3]] == [samples[1].id[-5:], "CVE#2"]
    assert [open_image(sample).getpixel((0, 0))[0] for sample in samples] == [7, 7, 7, 7, 7, 9]  # type: ignore[index]
    assert [sample.topic for sample in open_data(path)] == ["RG"]


def test_a_row_that_cannot_be_asked_fails_alone_and_says_why(tmp_path: Path) -> None:
    broken = picture(7)[:200] + "!" * 1000
    path = write(
        tmp_path,
        "disease_diagnosis",
        row(class_label="a"),
        row(class_label="b", img_data=broken),
        row(class_label="", img_data=picture(8)),
        row(class_label="d", options="['a, 'b']", img_data=picture(10)),
    )
    detection = write(tmp_path, "organ_detection", row(gt_bbox="__import__('os').abort()"))
    samples = list(read_u2bench([path, detection]))
    assert [sample.problem for sample in samples] == [
        None,
        "img_data is not base64 of an image",
        "no answer: class_label is empty",
        None,
        "gt_bbox is not a Python literal (ValueError)",
    ]
    assert samples[3].kind_data and samples[3].kind_data["options"] is None
    report = validate(tmp_path, kind="u2bench")
    assert (report.samples, report.images, report.refused_images, report.more_problems) == (5, 4, 3, 0)
    assert report.problems[0] == f"{path}:4: img_data is not base64 of an image"
    assert report.questions == {"DD": 4, "OD": 1}
    with pytest.raises(ImageError, match="base64"):
        open_image(samples[1])


def test_literals_are_never_evaluated(tmp_path: Path) -> None:
    deep = "[" * 5000 + "]" * 5000
    path = write(tmp_path, "keypoint_detection", row(keypoints=deep), row(keypoints="[(1, 2)]", options="nan"))
    samples = list(read_u2bench([path]))
    assert samples[0].problem and "Python literal" in samples[0].problem
    assert samples[1].kind_data and samples[1].kind_data["keypoints"] == [(1, 2)]


def test_only_a_first_row_can_explain(tmp_path: Path) -> None:
    path = write(tmp_path, "report_generation", row(report="x"), {**EXPLANATION, "report": "what was found"})
    assert [sample.problem is None for sample in read_u2bench([path])] == [True, False]
    path = write(tmp_path, "report_generation", row(report="x", img_data=picture(7, 64) + "!" * 1000))
    assert [sample.problem is None for sample in read_u2bench([path])] == [False]


def test_wrong_tables(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("index\tquestion\n1\t2\n")
    with pytest.raises(DataError, match="no column dataset_name, img_data, prompt") as raised:
        list(read_u2bench([path]))
    assert raised.value.where == f"{path}:1"
    path = write(tmp_path, "mixed", row(class_label="a"))
    with pytest.raises(DataError, match="which of the eight tasks") as raised:
        list(read_u2bench([path]))
    assert "disease_diagnosis" in (raised.value.hint or "")
    path = write(tmp_path, "disease_diagnosis", row(class_label="a"))
    path.write_text(path.read_text() + "short\trow\n" + path.read_text().split("\n", 1)[1])
    faults: list[DataError] = []
    assert len(list(read_u2bench([path], faults.append))) == 2
    assert [(fault.where, fault.message) for fault in faults] == [(f"{path}:4", "2 cells where the header has 17")]


def test_cells_are_found_again_among_quotes_line_breaks_and_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    rows = [["é\u2028x", "plain", 'a "quoted"\nline'], ["\x0b", "\r\n", ""], ["", "\ufeff", "tab\there"]]
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, "excel-tab", lineterminator="\r\n").writerows([["a", "b", "c"], *rows])
    found = list(read_rows(path))
    assert [list(one.cells.values()) for one in found] == rows
    assert [[read_cell(path, one.offset, one.length, column) for column in range(3)] for one in found] == rows
    path.write_text("")
    with pytest.raises(ValueError, match="has changed"):
        read_cell(path, found[0].offset, found[0].length, 1)


@pytest.mark.slow
def test_huge_cells_are_held_one_at_a_time(tmp_path: Path) -> None:
    huge = row(class_label="a", seg_data="x" * (2 << 20))

    def peak(rows: int) -> int:
        path = write(tmp_path, "disease_diagnosis", *[huge] * rows)
        tracemalloc.start()
        assert len(list(read_u2bench([path]))) == rows
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    of_two = peak(2)
    assert peak(12) < 1.1 * of_two
    samples = list(read_u2bench([tmp_path / "disease_diagnosis/21.tsv"]))
    assert open_image(samples[11]).size == (16, 16)
