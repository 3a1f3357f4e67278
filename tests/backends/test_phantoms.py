"""The phantoms: deterministic, whole or absent, in FADA's form, and not solved by knowing the folder."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backends.jobs.events import EventWriter
from backends.jobs.job import Job, JobError
from backends.work import phantoms
from backends.work.phantoms import answers_corpus, make_phantoms, phantom
from db.home import Home


def _records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_form_and_files(tmp_path: Path) -> None:
    paths = make_phantoms(tmp_path / "p", train=12, val=6, test=7, seed=3)
    seen: set[str] = set()
    for split, count in (("train", 12), ("val", 6), ("test", 7)):
        records = _records(paths[split])
        names = [record["images"][0] for record in records]
        assert len(set(names)) == count and len(records) == 4 * count
        assert not seen & set(names), "the splits share an image"
        seen |= set(names)
        assert [name.split("/")[0] for name in names] == sorted(name.split("/")[0] for name in names)
        for record in records:
            roles = [message["role"] for message in record["messages"]]
            assert roles == ["system", "user", "assistant"]
            assert [part["type"] for part in record["messages"][1]["content"]] == ["image", "text"]
            with Image.open(Path(paths["images"]) / record["images"][0]) as image:
                assert (image.mode, image.size) == ("L", (96, 96))
    assert {name.split("/")[0] for name in seen} == set(phantoms.PLANES)
    corpus = set(answers_corpus())
    for record in _records(paths["train"]):
        for message in record["messages"]:
            content = message["content"]
            assert (content if isinstance(content, str) else content[1]["text"]) in corpus


def test_an_image_depends_on_seed_split_and_number_only(tmp_path: Path) -> None:
    few = make_phantoms(tmp_path / "few", train=7, val=1, test=3, seed=5)
    many = make_phantoms(tmp_path / "many", train=20, val=4, test=6, seed=5)
    other = make_phantoms(tmp_path / "other", train=7, val=1, test=3, seed=6)
    names = {record["images"][0] for split in ("train", "val", "test") for record in _records(few[split])}
    for name in names:
        data = (Path(few["images"]) / name).read_bytes()
        assert data == (Path(many["images"]) / name).read_bytes()
        assert data != (Path(other["images"]) / name).read_bytes()
    lines = set(Path(few["train"]).read_text().splitlines())
    assert lines <= set(Path(many["train"]).read_text().splitlines())


def test_answers_vary_within_each_category() -> None:
    """Knowing the folder gives the plane and nothing else: its best answer is right about half the time."""
    drawn = [phantom(0, "train", number)[0] for number in range(240)]
    right = 0
    for category in phantoms.PLANES:
        here = [one for one in drawn if one.category == category]
        for question in phantoms.QUESTIONS:
            right += Counter(one.answer(question) for one in here).most_common(1)[0][1]
    assert right / (240 * len(phantoms.QUESTIONS)) < 0.65


def test_what_the_answers_name_is_in_the_picture() -> None:
    """Poor images are brighter (haze) and the spine is where the answer says."""
    drawn = [phantom(1, "train", number) for number in range(120)]
    means = {
        quality: np.mean([grey.mean() for one, grey in drawn if one.quality == quality])
        for quality in phantoms.QUALITIES
    }
    assert means["Poor quality"] > 1.5 * means["Good quality"]
    for orientation, (across, down) in phantoms.ORIENTATIONS.items():
        rows, columns = slice(int(44 + down), int(52 + down)), slice(int(44 + across), int(52 + across))
        there = [grey[rows, columns].mean() for one, grey in drawn if one.orientation == orientation]
        elsewhere = [grey[rows, columns].mean() for one, grey in drawn if one.orientation != orientation]
        assert np.mean(there) > 1.5 * np.mean(elsewhere)


def test_a_failed_making_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_phantoms(tmp_path / "p", train=30, val=0, test=0, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_made_again_is_left_alone_and_other_things_are_not_overwritten(tmp_path: Path) -> None:
    paths = make_phantoms(tmp_path / "p", train=3, val=0, test=0)
    before = Path(paths["train"]).stat().st_mtime_ns
    assert make_phantoms(tmp_path / "p", train=3, val=0, test=0) == paths
    assert Path(paths["train"]).stat().st_mtime_ns == before
    with pytest.raises(JobError, match="other or damaged"):
        make_phantoms(tmp_path / "p", train=4, val=0, test=0)
    next((tmp_path / "p").rglob("*.png")).unlink()
    with pytest.raises(JobError, match="other or damaged"):
        make_phantoms(tmp_path / "p", train=3, val=0, test=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(JobError, match="something else"):
        make_phantoms(tmp_path / "mine", train=3, val=0, test=0)
    (tmp_path / "file").write_text("x")
    with pytest.raises(JobError, match="something else"):
        make_phantoms(tmp_path / "file", train=3, val=0, test=0)
    (tmp_path / "empty").mkdir()
    assert Path(make_phantoms(tmp_path / "empty", train=3, val=0, test=0)["train"]).is_file()


@pytest.mark.parametrize("bad", [{"train": -1}, {"seed": -1}, {"train": 0, "val": 0, "test": 0}])
def test_bad_numbers(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="phantoms"):
        make_phantoms(tmp_path / "p", **bad)


def test_the_tool_job_streams_progress(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    home.run_dir(1).mkdir()
    arguments = {"folder": str(tmp_path / "p"), "train": 20, "val": 5, "test": 5, "seed": 0}
    events = EventWriter(home.run_dir(1) / "events.jsonl")
    job = Job(home, 1, 1, {"tool": {"name": "phantoms", "args": arguments}}, events)
    summary = phantoms.run(job)
    events.close()
    assert set(summary) == {"train", "val", "test", "images"}
    assert Path(summary["test"]).is_file()
    lines = _records(str(events.path))
    assert lines[0]["kind"] == "started" and lines[0]["total"] == 30
    assert [(line["done"], line["total"]) for line in lines[1:]] == [(25, 30), (30, 30)]
