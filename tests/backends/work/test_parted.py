"""What a comparison leaves beside its differences: groups, and the answers where the runs part."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.comparison import FORMAT, stamps
from backends.jobs.events import EventWriter
from backends.jobs.job import Job
from backends.work import compare
from db.home import Home
from tests.answered import AGES, FLAT, RIGHT, ages, answered, record

Compare = Callable[..., tuple[Job, dict[str, Any]]]


@pytest.fixture
def compared(home: Home) -> Compare:
    def make(*runs: int, **arguments: Any) -> tuple[Job, dict[str, Any]]:
        run_id = store.allocate(home)
        spec = {"kind": "tool", "task": None, "tool": {"name": "compare", "args": {"runs": runs, **arguments}}}
        job = Job(home, run_id, 1, spec, EventWriter(home.run_dir(run_id) / "events.jsonl"))
        compare.run(job)
        return job, json.loads((job.dir / "scores.json").read_text())

    return make


def test_every_question_and_category_has_its_difference(home: Home, compared: Compare) -> None:
    runs = [answered(home, ages(RIGHT)), answered(home, ages(FLAT))]
    _, document = compared(*runs)
    assert document["format"] == FORMAT and document["inputs"] == stamps(home, runs)
    rows = {(row["question"], row["category"]): row for row in document["explored"]}
    assert set(rows) == {("Q5", None), (None, "A"), (None, "B")}
    whole = document["comparisons"][0]
    assert rows["Q5", None]["difference"] == whole["difference"] and rows["Q5", None]["ci_low"] == whole["ci_low"]
    assert rows[None, "A"]["n_common"] == rows[None, "B"]["n_common"] == 20
    assert sum(rows[None, name]["difference"] for name in "AB") / 2 == pytest.approx(whole["difference"])
    assert all("p" not in row for row in document["explored"])
    why = ["no interval: too few images (20, it takes 30)"]
    assert [rows[key]["warnings"] for key in (("Q5", None), (None, "A"), (None, "B"))] == [[], why, why]


def test_answers_that_part_are_kept_by_who_is_right(home: Home, compared: Compare) -> None:
    truths = [AGES[at % 3] for at in range(6)]
    first = [truths[0], "no", "Wrong", "\x1b[31m", None, truths[5].upper() + "."]
    second = ["no", truths[1], "wrong. ", "other", "", truths[5]]
    runs = [
        answered(home, [record(at, said, truths[at]) for at, said in enumerate(texts)]) for texts in (first, second)
    ]
    job, document = compared(*runs)
    (parting,) = document["parted"]
    assert (parting["a_right"], parting["b_right"], parting["neither"], parting["kept"]) == (1, 1, 1, 3)
    lines = [json.loads(line) for line in (job.dir / parting["file"]).read_bytes().splitlines()]
    assert [line["side"] for line in lines] == ["a", "b", "neither"]
    assert lines[0]["a"] == lines[0]["reference"] and lines[0]["values"] == {"exact": [1.0, 0.0]}
    assert lines[2]["a"] == "\x1b[31m" and lines[2]["id"] == "B/3.png#Q5"


def test_a_metric_beside_the_usual_or_a_word_that_it_is_none(home: Home, compared: Compare) -> None:
    runs = [answered(home, ages(RIGHT)), answered(home, ages(FLAT))]
    _, document = compared(*runs, also="bin_accuracy")
    assert document["metrics"] == ["bin_accuracy", "exact"] and document["left_out"] == []
    for unfit in ("mcc", "cosine", "set_f2"):
        _, document = compared(*runs, also=unfit)
        assert document["metrics"] == ["exact"] and document["left_out"] == [unfit]


def test_without_a_common_question_there_is_nothing_to_part_on(home: Home, compared: Compare) -> None:
    other = [record(at + 100, "x", "y") for at in range(12)]
    _, document = compared(answered(home, ages(RIGHT)), answered(home, other))
    assert document["explored"] == [] and document["comparisons"][0]["difference"] is None
    assert document["parted"][0]["kept"] == 0
