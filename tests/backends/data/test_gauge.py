from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.data.door import open_data
from backends.data.errors import DataError
from backends.data.gauge import read_gauge


def record(**changes: Any) -> dict[str, Any]:
    return {
        "id": "q1",
        "image": "a/1.png",
        "task": "PI",
        "question": "Which plane?",
        "options": ["Femur", "Brain", "Abdomen"],
        "answer": "Brain",
        "source": "FPUS23",
        "box_size": None,
        **changes,
    }


def write(folder: Path, *records: Any) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_a_question(tmp_path: Path) -> None:
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/1.png").write_bytes(b"x")
    path = write(tmp_path, record(), record(id="q2", task="visual_grounding", box_size="small", answer="c"))
    first, second = read_gauge(path)
    assert (first.id, first.topic, first.reference, first.category) == ("a/1.png#PI", "PI", "Brain", "a")
    assert first.image_file == tmp_path / "images/a/1.png"
    assert first.kind_data == {
        "task": "PI",
        "options": ("Femur", "Brain", "Abdomen"),
        "answer": 1,
        "source": "FPUS23",
        "box_size": None,
        "record": "q1",
    }
    assert (second.topic, second.reference) == ("VG", "Abdomen")
    assert second.kind_data and second.kind_data["box_size"] == "small"


@pytest.mark.parametrize(
    ("options", "answer", "index"),
    [
        ({"A": "yes", "B": "no"}, "B", 1),
        (["yes", "no"], " NO ", 1),
        (["yes", "no"], "(a)", 0),
        (["B", "A"], "A", 1),  # the text wins over the letter
    ],
)
def test_the_answer_is_a_text_or_a_letter(tmp_path: Path, options: Any, answer: str, index: int) -> None:
    (sample,) = read_gauge(write(tmp_path, record(options=options, answer=answer)))
    assert sample.kind_data and sample.kind_data["answer"] == index


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "XX"}, "task 'XX' is not known"),
        ({"answer": "Heart"}, "none of its"),
        ({"answer": "D"}, "none of its"),
        ({"answer": 1}, "none of its"),
        ({"options": ["one"]}, "2 to 26"),
        ({"options": ["a", 3]}, "no text"),
        ({"options": ["a", "A"]}, "twice"),
        ({"options": {"A": "x", "C": "y"}}, "A, B, C"),
        ({"question": None}, "question"),
        ({"image": 3}, "not a path"),
    ],
)
def test_wrong_lines(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path, record(), record(**changes))
    with pytest.raises(DataError, match=message) as raised:
        list(read_gauge(path))
    assert raised.value.where == f"{path}:2" and raised.value.hint
    assert len(list(read_gauge(path, fault=lambda error: None))) == 1


def test_the_folder_is_enough(tmp_path: Path) -> None:
    write(tmp_path, record())
    (tmp_path / "images").mkdir()
    assert [sample.topic for sample in open_data(tmp_path, "fetal-gauge")] == ["PI"]


def test_absent_data_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no FETAL-GAUGE data") as raised:
        open_data(tmp_path / "gone", "fetal-gauge")
    assert "had not been released" in (raised.value.hint or "") and "box_size" in (raised.value.hint or "")
    with pytest.raises(DataError) as raised:
        open_data(tmp_path, "fetal-gauge")
    assert "had not been released" in (raised.value.hint or "")
