from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.data.errors import DataError
from backends.data.imagefolder import QUESTION, read_imagefolder

ROWS = [
    {"file_name": "Femur/a.png", "question": "Imaging Plane: Which?", "answer": "Femur, standard", "category": "Leg"},
    {
        "file_name": "Femur/b.png",
        "question": "Image Quality: Good?",
        "answer": 'He said "good"\nand left',
        "category": "",
    },
    {"file_name": "c.png", "question": "Image Quality: Good?", "answer": "No", "category": ""},
]


def write_jsonl(folder: Path, *rows: object) -> Path:
    path = folder / "metadata.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_csv_and_jsonl_give_the_same_samples(tmp_path: Path) -> None:
    csv = tmp_path / "metadata.csv"
    csv.write_bytes(
        b"\xef\xbb\xbffile_name,question,answer,category\r\n"
        b'Femur/a.png,Imaging Plane: Which?,"Femur, standard",Leg\r\n'
        b'Femur/b.png,Image Quality: Good?,"He said ""good""\nand left",\r\n'
        b"\r\n"
        b"c.png,Image Quality: Good?,No,\r\n"
    )
    samples = list(read_imagefolder(csv))
    assert [(s.id, s.category, s.reference, s.line) for s in samples] == [
        ("Femur/a.png#Q3", "Leg", "Femur, standard", 2),
        ("Femur/b.png#Q6", "Femur", 'He said "good"\nand left', 3),
        ("c.png#Q6", None, "No", 6),
    ]
    assert samples[0].image_file == tmp_path / "Femur/a.png"
    again = list(read_imagefolder(write_jsonl(tmp_path, *ROWS)))
    assert [(s.id, s.category, s.question, s.reference) for s in again] == [
        (s.id, s.category, s.question, s.reference) for s in samples
    ]


@pytest.mark.parametrize("column", ["text", "caption", "label"])
def test_a_caption_is_an_answer_to_a_question_of_ours(tmp_path: Path, column: str) -> None:
    (sample,) = read_imagefolder(write_jsonl(tmp_path, {"file_name": "a.png", column: "a femur"}))
    assert (sample.question, sample.reference) == (QUESTION, "a femur")


def test_a_number_is_an_answer_and_answer_wins_over_caption(tmp_path: Path) -> None:
    rows = {"file_name": "a.png", "label": 3}, {"file_name": "b.png", "caption": "long", "answer": "short"}
    assert [sample.reference for sample in read_imagefolder(write_jsonl(tmp_path, *rows))] == ["3", "short"]


def test_image_root_given(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (sample,) = read_imagefolder(write_jsonl(tmp_path, ROWS[2]), tmp_path / "elsewhere")
    assert sample.image_file == tmp_path / "elsewhere/c.png"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file_name": "a.png"}, "answer is empty"),
        ({"text": "x"}, "image path is empty"),
        ({"file_name": ["a.png"], "text": "x"}, "is no text"),
        ({"file_name": "a.png", "text": "\ud800"}, "surrogate"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_can_be_read(tmp_path: Path, row: object, message: str) -> None:
    path = write_jsonl(tmp_path, ROWS[0], row, ROWS[2])
    with pytest.raises(DataError, match=message) as raised:
        list(read_imagefolder(path))
    assert raised.value.where == f"{path}:2"
    faults: list[DataError] = []
    assert [sample.line for sample in read_imagefolder(path, fault=faults.append)] == [1, 3]
    assert [fault.where for fault in faults] == [f"{path}:2"]


def test_csv_faults(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(b"file_name,text\na.png,good\nb.png\nc.png,\xff\nd.png,x,y\ne.png,good\n")
    faults: list[DataError] = []
    assert [sample.image_path for sample in read_imagefolder(path, fault=faults.append)] == ["a.png", "e.png"]
    assert [fault.where for fault in faults] == [f"{path}:{line}" for line in (3, 4, 5)]
    assert "1 cells where the header has 2" in faults[0].message
    path.write_text("image,text\na.png,x\n")
    with pytest.raises(DataError, match="no column file_name"):
        list(read_imagefolder(path))


def test_paths_that_leave_the_root_are_not_readable(tmp_path: Path) -> None:
    (sample,) = read_imagefolder(write_jsonl(tmp_path, {"file_name": "../a.png", "text": "x"}))
    assert sample.problem and sample.image_file != tmp_path / "../a.png"
