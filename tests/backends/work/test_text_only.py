"""The floor of what a model answers where it sees nothing: really asked, kept, resumed and scored again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.asked import EvalAsked
from backends.jobs.errors import QueueError
from backends.jobs.job import Job
from backends.jobs.launch import plan_eval
from backends.work import rescore, work_function
from db.home import Home
from db.migrate import migrate

pytestmark = pytest.mark.xdist_group("heavy")
SCORING = {"embedding": None, "floors": ["text_only"]}


@pytest.fixture
def data(phantom_set: dict[str, str]) -> dict[str, Any]:
    return {"path": phantom_set["test"], "image_root": phantom_set["images"], "limit": None}


def floors_of(job: Job) -> dict[str, dict[str, float]]:
    rows = json.loads((job.dir / "scores.json").read_text())["scores"]
    return {row["question"]: row["floors"] for row in rows if row["category"] is None}


def test_each_distinct_question_is_asked_once_and_the_answers_are_a_floor(
    make_job: Callable[..., Job], data: dict[str, Any], read_events: Callable[..., list[dict[str, Any]]]
) -> None:
    job = make_job(1, task="proxy", scoring=SCORING, data=data)
    migrate(job.home)
    work_function(job.spec)(job)
    lines = [json.loads(line) for line in (job.dir / "text_only.jsonl").read_text().splitlines()]
    asked = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    assert len(lines) == len({line["question"] for line in asked}) == 4 < len(asked)
    assert {line["image_path"] for line in lines} == {"grey.png"} and all(line["error"] is None for line in lines)
    assert any("4 distinct questions more" in event["text"] for event in read_events(job, "message"))

    by_question = {line["question"]: line["prediction"] for line in lines}
    found = json.loads((job.dir / "text_only.json").read_text())["answers"]
    assert found == {line["id"]: by_question[line["question"]] for line in asked}
    floors = floors_of(job)
    assert all(set(one) == {"majority", "shuffled", "text_only"} for one in floors.values())

    # What it is worth, by scoring those answers as if they were a run's.
    from backends.scoring.answer import Answer
    from backends.scoring.score import score_answers
    from backends.work.predictions import Predictions

    kept = Predictions(job.predictions)
    kept.close()
    blind = [
        Answer(*(vars(one) | {"prediction": found[key], "error": None}).values()) for key, one in kept.answers.items()
    ]
    for row in score_answers(blind, kind="proxy", resamples=0):
        if row["category"] is None:
            assert floors[row["question"]]["text_only"] == pytest.approx(row["value"], abs=1e-12)

    # A resumed attempt asks only what is missing, and scoring again forgets nothing.
    text = (job.dir / "text_only.jsonl").read_text()
    (job.dir / "text_only.jsonl").write_text("".join(text.splitlines(keepends=True)[:2]) + '{"torn')
    (job.dir / "scores.json").unlink()
    again = work_function(job.spec)(job)
    assert again["asked_now"] == 0 and floors_of(job) == floors
    assert any("2 distinct questions more" in event["text"] for event in read_events(job, "message"))
    store.write_attempt(job.dir, store.Attempt(1, ended=store.now(), exit_code=0))
    rescore.run(make_job(2, kind="tool", task=None, tool={"name": "rescore", "args": {"run": 1}}))
    assert floors_of(job) == floors


def test_without_it_nothing_more_is_asked(make_job: Callable[..., Job], data: dict[str, Any]) -> None:
    job = make_job(1, task="proxy", scoring={"embedding": None}, data={**data, "limit": 4})
    work_function(job.spec)(job)
    assert not (job.dir / "text_only.jsonl").exists()
    assert all(set(one) == {"majority", "shuffled"} for one in floors_of(job).values())


def test_a_stop_between_keeps_what_was_asked(make_job: Callable[..., Job], data: dict[str, Any]) -> None:
    generation = {"max_new_tokens": 4, "batch_size": 1, "do_sample": False}
    job = make_job(1, task="proxy", scoring=SCORING, data={**data, "limit": 1}, generation=generation)
    from backends.data.door import open_data
    from backends.work.evaluate import asker_of
    from backends.work.serving import open_model
    from backends.work.textonly import ask_text_only

    samples = list(open_data(Path(data["path"]), "gt", Path(data["image_root"])))
    store.change_control(job.dir, stop=True)
    model = open_model(job)
    assert ask_text_only(job, asker_of(job, model, "text_only."), samples) is None
    assert len((job.dir / "text_only.jsonl").read_text().splitlines()) == 1
    store.change_control(job.dir, stop=False)
    found = ask_text_only(job, asker_of(job, model, "text_only."), samples)
    assert found is not None and found.keys() == {sample.id for sample in samples}


def test_an_unknown_floor_and_another_kind_are_refused(home: Home, tiny_checkpoint: Path, data: dict[str, Any]) -> None:
    given = {"data": data["path"], "image_root": data["image_root"]}
    with pytest.raises(QueueError, match="no floor 'blind'"):
        plan_eval(home, str(tiny_checkpoint), EvalAsked(floors=["blind"], **given))
    with pytest.raises(QueueError, match="not made for perf"):
        plan_eval(home, str(tiny_checkpoint), EvalAsked(floors=["text_only"], task="perf", **given))
    spec = plan_eval(home, str(tiny_checkpoint), EvalAsked(floors=["shuffled", "text_only"], **given))
    assert spec["scoring"]["floors"] == ["text_only"]
    assert "floors" not in plan_eval(home, str(tiny_checkpoint), EvalAsked(floors=["shuffled"], **given))["scoring"]
