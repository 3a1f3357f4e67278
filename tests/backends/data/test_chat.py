from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.chat import DataError, chat_form, read_chat, resolve_image_root


def record(image: str = "Femur/a.png", question: str = "Imaging Plane: Which?", answer: str = "Femur plane") -> Any:
    return {
        "messages": [
            {"role": "system", "content": "You are a sonographer."},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
            {"role": "assistant", "content": answer},
        ],
        "images": [image],
    }


def sharegpt(image: str = "Femur/a.png") -> Any:
    turns = [{"from": "human", "value": "<image>\nImaging Plane: Which?"}, {"from": "gpt", "value": "Femur plane"}]
    return {"conversations": turns, "images": [image]}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*records: Any) -> Path:
        path = tmp_path / "data.jsonl"
        path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
        return path

    return write


def test_chat_sample(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(record())
    (sample,) = read_chat(path)
    assert sample.id == "Femur/a.png#Q3"
    assert sample.image_file == tmp_path / "Femur/a.png"
    assert (sample.category, sample.topic, sample.line) == ("Femur", "Q3", 1)
    assert (sample.question, sample.reference) == ("Imaging Plane: Which?", "Femur plane")
    assert sample.system == "You are a sonographer."
    assert chat_form(path) == "chat"


def test_sharegpt_sample(write: Callable[..., Path]) -> None:
    path = write(sharegpt())
    (sample,) = read_chat(path)
    assert (sample.question, sample.reference, sample.system) == ("Imaging Plane: Which?", "Femur plane", None)
    assert chat_form(path) == "sharegpt"


def test_several_questions_of_a_line_are_samples_of_their_own(write: Callable[..., Path]) -> None:
    turns = [
        {"from": "system", "value": "You are a sonographer."},
        {"from": "human", "value": "<image>\nImaging Plane: Which?"},
        {"from": "gpt", "value": "Femur plane"},
        {"from": "human", "value": "Image Quality: Good?"},
        {"from": "gpt", "value": "Good"},
        {"from": "human", "value": "Imaging Plane: Standard?"},
        {"from": "gpt", "value": "Yes"},
    ]
    samples = list(read_chat(write({"conversations": turns, "images": ["Femur/a.png"]}, sharegpt("Femur/b.png"))))
    assert [sample.id for sample in samples] == [
        "Femur/a.png#Q3",
        "Femur/a.png#Q6",
        "Femur/a.png#Q3#2",
        "Femur/b.png#Q3",
    ]
    assert [(sample.question, sample.reference) for sample in samples[1:3]] == [
        ("Image Quality: Good?", "Good"),
        ("Imaging Plane: Standard?", "Yes"),
    ]
    assert [sample.line for sample in samples] == [1, 1, 1, 2]
    assert {sample.system for sample in samples[:3]} == {"You are a sonographer."} and samples[3].system is None


def test_ids_are_unique_and_stable(write: Callable[..., Path]) -> None:
    path = write(record(), record(question="Plane Evaluation: Ok?"), record("Femur/b.png"), record())
    expected = ["Femur/a.png#Q3", "Femur/a.png#Q3#2", "Femur/b.png#Q3", "Femur/a.png#Q3#3"]
    assert [sample.id for sample in read_chat(path)] == expected


def test_lazy_so_that_a_later_fault_stops_nothing_before_it(write: Callable[..., Path]) -> None:
    path = write(record(), record("Femur/b.png"), "{broken")
    samples = read_chat(path, path.parent)
    assert [sample.line for sample in islice(samples, 2)] == [1, 2]
    with pytest.raises(DataError) as raised:
        next(samples)
    assert raised.value.where == f"{path}:3"


def test_byte_order_mark_blank_lines_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(record()).encode() + b"\r\n\r\n" + json.dumps(sharegpt()).encode())
    assert [sample.line for sample in read_chat(path)] == [1, 3]


def test_image_without_folder_has_no_category(write: Callable[..., Path]) -> None:
    (sample,) = read_chat(write(record("a.png")))
    assert sample.category is None


@pytest.mark.parametrize("name", ["../secret.png", "Femur/../../secret.png", "/etc/passwd"])
def test_paths_that_leave_the_root_are_never_readable(write: Callable[..., Path], name: str, tmp_path: Path) -> None:
    (tmp_path.parent / "secret.png").write_bytes(b"x")
    (sample,) = read_chat(write(record(name)))
    assert sample.problem and name in sample.problem
    assert sample.image_path == name
    assert not sample.image_file.is_file()
    with pytest.raises(OSError):
        Image.open(sample.image_file)


MALFORMED: list[tuple[Any, str]] = [
    ("{broken", "not JSON"),
    ("[" * 100_000, "not JSON"),
    ("[1, 2]", "not a JSON object"),
    ({"images": ["a/b.png"]}, "neither a list"),
    ({**record(), "images": []}, "one path"),
    ({**record(), "images": ["a.png", "b.png"]}, "one path"),
    ({**record(), "images": [3]}, "one path"),
    ({**record(), "images": ["a\0.png"]}, "NUL"),
    (record(answer=" "), "answer is empty"),
    (record(question=""), "question is empty"),
    (record(answer="\ud800"), "surrogate"),
    ({"messages": ["hi"], "images": ["a/b.png"]}, "without a known"),
    ({"messages": [{"role": "tool", "content": "x"}], "images": ["a/b.png"]}, "without a known"),
    ({"messages": [{"role": "user", "content": None}], "images": ["a/b.png"]}, "without text"),
    ({"messages": [{"role": "user", "content": [{"type": "video"}]}], "images": ["a/b.png"]}, "neither image nor"),
    ({"messages": record()["messages"][:2], "images": ["a/b.png"]}, "the turns are"),
    (
        {"conversations": sharegpt()["conversations"] * 2 + sharegpt()["conversations"][:1], "images": ["a/b.png"]},
        "the turns are",
    ),
    ({"conversations": sharegpt()["conversations"][::-1], "images": ["a/b.png"]}, "the turns are"),
    ({**record(), "messages": []}, "the turns are none"),
]


@pytest.mark.parametrize(("bad", "message"), MALFORMED, ids=[message for _, message in MALFORMED])
def test_malformed_line_names_file_and_line_and_says_what_to_do(
    write: Callable[..., Path], bad: Any, message: str
) -> None:
    path = write(record(), "", bad)
    with pytest.raises(DataError, match=message) as raised:
        list(read_chat(path, path.parent))
    assert raised.value.where == f"{path}:3"
    assert raised.value.hint


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(json.dumps(record()).encode() + b"\n\xff\xfe\n")
    with pytest.raises(DataError, match="UTF-8") as raised:
        list(read_chat(path, tmp_path))
    assert raised.value.where == f"{path}:2"


def test_missing_directory_and_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(read_chat(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="is a folder"):
        list(read_chat(tmp_path))
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="no samples"):
        list(read_chat(tmp_path / "empty.jsonl"))


def test_image_root_given_else_folder_else_images(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(record("Femur/gone.png"), record("Femur/a.png"))
    assert resolve_image_root(path, None) == tmp_path
    (tmp_path / "images/Femur").mkdir(parents=True)
    (tmp_path / "images/Femur/a.png").write_bytes(b"x")
    assert resolve_image_root(path, None) == tmp_path / "images"
    (tmp_path / "Femur").mkdir()
    (tmp_path / "Femur/a.png").write_bytes(b"x")
    assert resolve_image_root(path, None) == tmp_path
    (tmp_path / "other").mkdir()
    assert resolve_image_root(path, tmp_path / "other") == tmp_path / "other"
    with pytest.raises(DataError, match="no folder"):
        resolve_image_root(path, tmp_path / "nowhere")


def test_a_name_too_long_for_the_file_system_is_only_missing(write: Callable[..., Path], tmp_path: Path) -> None:
    assert resolve_image_root(write(record("Femur/" + "x" * 5000)), None) == tmp_path
