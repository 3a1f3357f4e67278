from __future__ import annotations

import json
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from backends.data.door import open_data
from backends.data.errors import DataError
from backends.data.layout import find_layout

TURNS = [{"from": "human", "value": "Image Quality: Good?"}, {"from": "gpt", "value": "Yes"}]
CHAT = [{"role": "user", "content": "Image Quality: Good?"}, {"role": "assistant", "content": "Yes"}]
LINES: dict[str, Any] = {
    "chat": {"messages": CHAT, "images": ["A/1.png"]},
    "sharegpt": {"conversations": TURNS, "images": ["A/1.png"]},
    "imagefolder": {"file_name": "A/1.png", "text": "x"},
    "fetal-gauge": {"image": "A/1.png", "task": "PI", "question": "?", "options": ["a", "b"], "answer": "a"},
}


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("form", LINES)
def test_a_file_is_known_by_its_first_sound_line(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "any.name", "", "{broken", LINES[form])
    assert find_layout(path).format == form
    assert [sample.image_path for sample in open_data(path, fault=lambda error: None)] == ["A/1.png"]
    with pytest.raises(DataError, match="not JSON"):
        list(open_data(path))


def test_folders_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    write(tmp_path / "hf/metadata.jsonl", LINES["imagefolder"])
    write(tmp_path / "gauge/q.jsonl", LINES["fetal-gauge"])
    write(tmp_path / "u2/organ_detection/1.tsv", "")
    write(tmp_path / "tree/a/1.png")
    write(tmp_path / "tree/b/1.png")
    assert {name: find_layout(tmp_path / name).format for name in ("hf", "gauge", "u2", "tree")} == {
        "hf": "imagefolder",
        "gauge": "fetal-gauge",
        "u2": "u2bench",
        "tree": "folders",
    }
    write(tmp_path / "tree/notes.jsonl", LINES["chat"])
    assert find_layout(tmp_path / "tree").format == "chat"
    assert find_layout(tmp_path / "tree", "zero-shot").format == "folders"


def test_splits_of_an_image_folder_must_be_chosen_from(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / split / "metadata.jsonl", LINES["imagefolder"])
    with pytest.raises(DataError, match=r"\(test, train\)"):
        find_layout(tmp_path, "gt")
    assert find_layout(tmp_path / "test", "gt").format == "imagefolder"


def test_several_files_must_be_chosen_from(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write(tmp_path / f"gt_{split}.jsonl", LINES["chat"])
    with pytest.raises(DataError, match=r"3 data files \(gt_test.jsonl, gt_train.jsonl, gt_val.jsonl\)"):
        find_layout(tmp_path, "gt")


@pytest.mark.parametrize(
    ("form", "kind", "good"),
    [
        ("chat", "gt", True),
        ("sharegpt", "finetune", True),
        ("imagefolder", "proxy", True),
        ("fetal-gauge", "perf", True),
        ("fetal-gauge", "gt", False),
        ("chat", "fetal-gauge", False),
        ("chat", "u2bench", False),
        ("chat", "zero-shot", True),
    ],
)
def test_a_kind_reads_only_what_it_can_score(tmp_path: Path, form: str, kind: str, good: bool) -> None:
    path = write(tmp_path / "data.jsonl", LINES[form])
    if good:
        assert len(list(open_data(path, kind))) == 1
    else:
        with pytest.raises(DataError, match=f"{kind} cannot read that") as raised:
            open_data(path, kind)
        assert raised.value.hint


def test_nothing_there(tmp_path: Path) -> None:
    for path, words in [(tmp_path / "gone", "No such file"), (tmp_path, "without data files")]:
        with pytest.raises(DataError, match=words):
            open_data(path, "gt")
    with pytest.raises(DataError, match="no kind 'other'"):
        open_data(tmp_path, "other")
    with pytest.raises(DataError, match="no samples"):
        open_data(write(tmp_path / "empty.jsonl"), "gt")
    write(tmp_path / "noise", "{\n" * 30)
    with pytest.raises(DataError, match="not JSON"):
        open_data(tmp_path / "noise")


def test_lazy_unless_limited(tmp_path: Path) -> None:
    lines = [{**LINES["chat"], "images": [f"A/{number}.png"]} for number in range(20)]
    path = write(tmp_path / "data.jsonl", *lines, "{broken")
    assert len(list(islice(open_data(path), 20))) == 20
    with pytest.raises(DataError):
        open_data(path, limit=3)
    path = write(tmp_path / "data.jsonl", *lines)
    few = list(open_data(path, limit=3, seed=1))
    assert len(few) == 3 and [sample.line for sample in few] == sorted(sample.line or 0 for sample in few)
    assert few == list(open_data(path, limit=3, seed=1)) != list(open_data(path, limit=3, seed=2))


def test_errors_and_samples_travel_between_processes(tmp_path: Path) -> None:
    error = DataError("wrong", "file:3", "mend it", ("file:3: wrong", "file:4: wrong"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.where, again.hint, again.details) == (str(error), "file:3", "mend it", error.details)
    (sample,) = open_data(write(tmp_path / "data.jsonl", LINES["fetal-gauge"]))
    assert pickle.loads(pickle.dumps(sample)) == sample and hash(sample)


def test_a_line_without_end_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.data.records.LONGEST_LINE", 100)
    path = write(tmp_path / "data.jsonl", "{}", '{"messages": "' + "x" * 200)
    with pytest.raises(DataError, match="more than 64 MiB") as raised:
        list(open_data(path))
    assert raised.value.where == f"{path}:2"
