from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.data.door import open_data
from backends.data.errors import DataError
from backends.data.folders import read_folders


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_the_folder_is_the_answer(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "Femur/b.png",
        "Femur/deep/a.JPG",
        "Brain/1.dcm",
        ".cache/x.png",
        "Brain/.b.png",
        "Brain/note.txt",
        "top.png",
    )
    samples = list(read_folders(tmp_path))
    assert [(s.image_path, s.reference, s.category) for s in samples] == [
        ("Brain/1.dcm", "Brain", "Brain"),
        ("Femur/b.png", "Femur", "Femur"),
        ("Femur/deep/a.JPG", "Femur", "Femur"),
    ]
    assert samples[0].id == "Brain/1.dcm#class" and samples[0].image_file == tmp_path / "Brain/1.dcm"
    assert samples[2].kind_data == {"label": "Femur", "options": ("Brain", "Femur")}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a.png", "test/b.png"], "splits"),
        (["images/a.png"], "1 folders"),
        (["a/x.txt", "b/y.txt"], "no images"),
    ],
)
def test_what_is_no_tree_of_classes(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        list(read_folders(touch(tmp_path, *names)))
    assert raised.value.hint or message == "splits"


def test_a_root_elsewhere_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    assert len(list(read_folders(tmp_path, tmp_path))) == 2
    with pytest.raises(DataError, match="images lie in it"):
        list(read_folders(tmp_path, tmp_path / "a"))


def test_questions_and_answers_give_each_image_once(tmp_path: Path) -> None:
    lines = []
    for image in ("Femur/a.png", "Femur/a.png", "Brain/b.png", "top.png"):
        turns = [{"from": "human", "value": "Image Quality: Good?"}, {"from": "gpt", "value": "Yes"}]
        lines.append(json.dumps({"conversations": turns, "images": [image]}) + "\n")
    path = tmp_path / "data.jsonl"
    path.write_text("".join(lines))
    samples = list(open_data(path, "zero-shot"))
    assert [(s.id, s.reference, s.line) for s in samples] == [
        ("Femur/a.png#class", "Femur", 1),
        ("Brain/b.png#class", "Brain", 3),
    ]
