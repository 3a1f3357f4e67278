from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.data import told
from backends.data.chat import read_chat
from backends.data.composition import composition, composition_of, composition_warnings
from backends.data.errors import DataError
from backends.data.subset import choose
from backends.data.validate import LISTED, file_sha256, inspect, validate


def write(folder: Path, images: list[str], questions: tuple[str, ...] = ("Imaging Plane: Which?",)) -> Path:
    lines = []
    for image in images:
        for question in questions:
            turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": "Yes"}]
            lines.append(json.dumps({"conversations": turns, "images": [image]}) + "\n")
    path = folder / "data.jsonl"
    path.write_text("".join(lines))
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"png")


def test_report(tmp_path: Path) -> None:
    touch(tmp_path, "images/A/1.png", "images/B/2.png")
    path = write(tmp_path, ["A/1.png", "B/2.png"], ("Imaging Plane: Which?", "Image Quality: Good?"))
    report = validate(path)
    assert (report.samples, report.images, report.total_samples, report.format) == (4, 2, 4, "sharegpt")
    assert report.image_root == tmp_path / "images" and report.path == path
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.categories == {"A": 2, "B": 2} and report.questions == {"Q3": 2, "Q6": 2}
    assert report.problems == () and report.missing_images == report.refused_images == 0


def test_image_hash_tells_size_and_time_and_not_the_order(tmp_path: Path) -> None:
    touch(tmp_path, "A/1.png", "B/2.png")
    before = validate(write(tmp_path, ["A/1.png", "B/2.png"])).image_stats_sha256
    assert validate(write(tmp_path, ["B/2.png", "A/1.png"])).image_stats_sha256 == before
    os.utime(tmp_path / "A/1.png", ns=(1, 1))
    later = validate(write(tmp_path, ["A/1.png", "B/2.png"])).image_stats_sha256
    assert later != before
    (tmp_path / "A/1.png").write_bytes(b"other length")
    os.utime(tmp_path / "A/1.png", ns=(1, 1))
    assert validate(write(tmp_path, ["A/1.png", "B/2.png"])).image_stats_sha256 not in (before, later)


def test_missing_empty_and_refused_images_are_counted_and_the_first_are_listed(tmp_path: Path) -> None:
    touch(tmp_path, "A/good.png")
    (tmp_path / "A/empty.png").touch()
    (tmp_path / "A/folder.png").mkdir()
    absent = [f"A/absent{number}.png" for number in range(30)]
    path = write(tmp_path, ["A/good.png", "A/empty.png", "A/folder.png", "../x.png", *absent], ("x: y", "z: y"))
    report = validate(path)
    assert (report.images, report.missing_images, report.refused_images) == (34, 32, 1)
    assert len(report.problems) == LISTED
    assert report.problems[0] == f"{path}:3: the image A/empty.png is empty"
    assert report.problems[1] == f"{path}:5: the image A/folder.png is no file"
    assert report.problems[2].startswith(f"{path}:7: the image path ../x.png leaves the image root")
    assert report.problems[3] == f"{path}:9: the image A/absent0.png cannot be read: No such file or directory"


def test_all_images_missing_tells_where_it_looked(tmp_path: Path) -> None:
    path = write(tmp_path, ["A/1.png", "/etc/passwd"])
    with pytest.raises(DataError) as raised:
        validate(path)
    assert f"none of its 2 images can be read under {tmp_path} or {tmp_path}/images" in raised.value.message
    assert "--image-root" in (raised.value.hint or "")
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError, match=f"under {tmp_path}/root "):
        validate(path, tmp_path / "root")


def test_a_malformed_last_line_is_found_whatever_the_limit(tmp_path: Path) -> None:
    touch(tmp_path, "A/1.png")
    path = write(tmp_path, ["A/1.png"] * 5)
    path.write_text(path.read_text() + "{")
    with pytest.raises(DataError) as raised:
        validate(path, limit=1)
    assert raised.value.where == f"{path}:6"


def test_a_limit_takes_from_everywhere_in_a_sorted_file(tmp_path: Path) -> None:
    images = [f"{category}/{number}.png" for category in "ABCDEF" for number in range(50)]
    touch(tmp_path, *images)
    path = write(tmp_path, images)
    report = validate(path, limit=60)
    assert report.samples == 60 and report.total_samples == 300
    assert set(report.categories) == set("ABCDEF")
    samples = list(read_chat(path))
    chosen = choose(samples, 60)
    assert [sample.line for sample in chosen] == sorted(sample.line or 0 for sample in chosen)
    assert {sample.id for sample in choose(reversed(samples), 60)} == {sample.id for sample in chosen}
    assert {sample.id for sample in choose(samples, 30)} < {sample.id for sample in chosen}
    assert choose(samples, 60, seed=1) != chosen
    assert choose(samples, None) == samples and choose(samples, 1000) == samples


def test_composition_warns_of_what_training_never_shows(tmp_path: Path) -> None:
    both = ("Imaging Plane: ?", "Image Quality: ?")
    evaluation = composition(read_chat(write(tmp_path, ["A/1.png", "B/1.png", "C/1.png"], both), tmp_path))
    assert evaluation.cells["A", "Q3"] == 1 and evaluation.images == 3
    assert composition_warnings(evaluation, evaluation) == []
    first_lines = composition(read_chat(write(tmp_path, ["A/9.png"], both), tmp_path))
    assert composition_warnings(first_lines, evaluation) == ["training lacks 2 of 3 evaluated categories: B, C"]
    no_quality = composition(read_chat(write(tmp_path, ["A/9.png", "B/9.png", "C/9.png"], both[:1]), tmp_path))
    assert composition_warnings(no_quality, evaluation) == ["training lacks 1 of 2 evaluated questions: Q6"]
    samples = list(read_chat(write(tmp_path, ["A/9.png", "B/9.png", "C/9.png"], both), tmp_path))
    without = composition(s for s in samples if (s.category, s.topic) != ("B", "Q6"))
    assert composition_warnings(without, evaluation) == ["training lacks these questions of a category: B Q6"]


def test_all_wrong_lines_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    touch(tmp_path, "A/1.png")
    path = write(tmp_path, ["A/1.png"] * 3)
    path.write_text(path.read_text() + "{\n[]\n" * 15 + path.read_text())
    with pytest.raises(DataError) as raised:
        validate(path)
    assert raised.value.where == f"{path}:4" and "and 29 more lines" in raised.value.message
    assert len(raised.value.details) == LISTED and raised.value.details[1] == f"{path}:5: not a JSON object"
    report = inspect(path)
    assert report.faults == raised.value.details and report.more_faults == 30 - LISTED
    assert report.samples == 6 and report.problems == ()
    path.write_text("{\n" * 3)
    with pytest.raises(DataError, match="not JSON"):
        validate(path)


def test_the_rest_of_the_problems_is_a_number(tmp_path: Path) -> None:
    touch(tmp_path, "A/good.png")
    path = write(tmp_path, ["A/good.png", *(f"A/gone{number}.png" for number in range(50))])
    report = validate(path)
    assert (len(report.problems), report.more_problems, report.missing_images) == (LISTED, 50 - LISTED, 50)


def test_other_forms_are_validated_too(tmp_path: Path) -> None:
    touch(tmp_path / "tree", "Femur/a.png", "Brain/b.png")
    report = validate(tmp_path / "tree", kind="zero-shot")
    assert (report.format, report.samples, report.image_root) == ("folders", 2, tmp_path / "tree")
    assert report.categories == {"Brain": 1, "Femur": 1}
    with pytest.raises(DataError, match="gt cannot read that"):
        validate(tmp_path / "tree")
    touch(tmp_path / "pictures", "a.png")
    (tmp_path / "pictures/metadata.csv").write_text("file_name,text\na.png,x\ngone.png,y\n")
    report = validate(tmp_path / "pictures")
    assert (report.format, report.samples, report.missing_images) == ("imagefolder", 2, 1)
    assert report.problems[0].startswith(f"{tmp_path}/pictures/metadata.csv:3: the image gone.png cannot be read")
    assert report.path == tmp_path / "pictures/metadata.csv" and report.image_root == tmp_path / "pictures"
    assert report == validate(report.path, report.image_root)
    assert report.composition == composition_of(tmp_path / "pictures")
    (tmp_path / "pictures/a.png").unlink()
    with pytest.raises(DataError, match=f"none of its 2 images can be read under {tmp_path}/pictures "):
        validate(tmp_path / "pictures")


def test_hash_of_a_folder_tells_when_its_questions_change(tmp_path: Path) -> None:
    touch(tmp_path / "tree", "Femur/a.png", "Brain/b.png")
    first = file_sha256(tmp_path / "tree")
    assert first == validate(tmp_path / "tree", kind="zero-shot").sha256 == file_sha256(tmp_path / "tree")
    (tmp_path / "tree/Femur/a.png").rename(tmp_path / "tree/Brain/a.png")
    assert file_sha256(tmp_path / "tree") != first
    touch(tmp_path / "p", "a.png")
    metadata = tmp_path / "p/metadata.csv"
    metadata.write_text("file_name,text\na.png,x\n")
    first = file_sha256(tmp_path / "p")
    assert validate(tmp_path / "p").sha256 == first
    touch(tmp_path / "p", "b.png")
    assert file_sha256(tmp_path / "p") == first
    metadata.write_text("file_name,text\na.png,y\n")
    assert file_sha256(tmp_path / "p") != first


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, backends.data.validate, backends.data.contamination; "
        "print([m for m in ('numpy', 'torch', 'PIL', 'pydicom', 'transformers', 'sqlite_utils') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_person_is_told_before_a_job_runs(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    path = write(tmp_path, ["a.png", "../b.png", *(f"{n}.png" for n in range(7))])
    report = validate(path)
    assert told.held(report) == "9 questions about 9 images (sharegpt)"
    first, *places, last = told.problems(report)
    assert first.startswith("8 of 9 images: 7 missing or empty, 1 not to be used; their questions fail")
    assert len(places) == told.SHOWN and "data.jsonl:2: " in places[0] and last == "and 3 more"
    path.write_text(path.read_text().splitlines()[0] + "\n{" * 9 + "\n")
    report = inspect(path)
    assert told.problems(report) == ()
    *named, rest = told.faults(report)
    assert len(named) == told.SHOWN and "data.jsonl:2" in named[0] and rest == "and 4 more lines that cannot be used"


def test_one_class_is_no_classification(tmp_path: Path) -> None:
    touch(tmp_path, "Femur/a.png")
    path = write(tmp_path, ["Femur/a.png"])
    assert validate(path).samples == 1
    with pytest.raises(DataError, match=r"one class only \(Femur\)"):
        validate(path, kind="zero-shot")
