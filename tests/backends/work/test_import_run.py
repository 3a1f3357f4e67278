"""Results made elsewhere as runs of ours: failures are failures, stated and rescored figures side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.data.errors import DataError
from backends.jobs import queue, store
from backends.jobs.errors import QueueError
from backends.jobs.events import EventWriter
from backends.jobs.job import Job, JobError
from backends.jobs.reindex import reindex
from backends.work import import_run, rescore
from db.connect import connect
from db.home import Home
from db.runs import queries
from db.runs.rows import Score

AGES = ("14 weeks", "20 weeks", "30 weeks")
Import = Callable[..., dict[str, Any]]


@pytest.fixture
def tool(home: Home) -> Callable[..., Job]:
    def make(name: str, **arguments: Any) -> Job:
        run_id = store.allocate(home)
        spec = {"kind": "tool", "task": None, "tool": {"name": name, "args": arguments}, "seed": 0}
        return Job(home, run_id, 1, spec, EventWriter(home.run_dir(run_id) / "events.jsonl"))

    return make


@pytest.fixture
def bring_in(tool: Callable[..., Job]) -> Import:
    def call(folder: Path, **arguments: Any) -> dict[str, Any]:
        return import_run.run(tool("import-run", path=str(folder), **arguments))

    return call


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def made(folder: Path, said: Callable[[int], str | None], images: int = 40) -> Path:
    """One age of each image, as FADA writes it."""
    folder.mkdir(exist_ok=True)
    question = "Q5: Gestational Age Estimation: which range?"
    lines = [
        {"image_path": f"/data/fada/Femur/{at}.png", "category": "Femur", "question": question, "prediction": said(at)}
        for at in range(images)
    ]
    write_lines(folder / "predictions.jsonl", lines)
    return folder


def truth(path: Path, images: int = 40) -> Path:
    """The references in chat form, worded otherwise; the images are not there."""
    return write_lines(
        path,
        [
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image"}, {"type": "text", "text": "Gestational Age: when?"}],
                    },
                    {"role": "assistant", "content": AGES[at % 3]},
                ],
                "images": [f"Femur/{at}.png"],
            }
            for at in range(images)
        ],
    )


def right(at: int) -> str:
    return AGES[at % 3]


def overall(home: Home, run_id: int) -> dict[str, Score]:
    with closing(connect(home.runs_db)) as conn:
        return {one.metric: one for one in queries.scores(conn, run_id, overall_only=True)}


def state(folder: Path, value: float, metric: str = "embedding_similarity_mean") -> None:
    group = {metric: value, "num_samples": 40}
    question = {"Q5: Gestational Age": {"metric_name": "bin_accuracy", "primary_mean": 0.5, "num_samples": 40}}
    (folder / "scores.json").write_text(json.dumps({"overall": group, "per_question": question}))


def test_stated_and_rescored_side_by_side(tmp_path: Path, home: Home, bring_in: Import) -> None:
    folder = made(tmp_path / "made", lambda at: "ERROR: no memory" if at < 10 else right(at))
    state(folder, 0.64)
    said = bring_in(folder, model="Mine", data=str(truth(tmp_path / "truth.jsonl")))
    [run_id] = said["runs"]
    assert (said["samples"], said["failed"], said["scored"], said["unmatched"], said["unanswered"]) == (
        40,
        10,
        40,
        0,
        0,
    )

    scores = overall(home, run_id)
    assert {one.source for one in scores.values()} == {"import"}
    exact, cosine, stated = scores["exact"], scores["cosine"], scores["cosine_stated"]
    assert exact.value == 0.75 and (exact.n, exact.answered, exact.failed) == (40, 30, 10)
    assert exact.floors["majority"] == pytest.approx(14 / 40)
    assert [alarm.kind for alarm in exact.alarms] == ["coverage"]
    assert cosine.value == pytest.approx(0.75, abs=1e-6) and cosine.references["stated"] == 0.64
    assert stated.value == 0.64 and stated.references["rescored"] == cosine.value
    assert {alarm.kind for alarm in stated.alarms} == {"coverage", "fingerprint"} and stated.answered == 30
    with closing(connect(home.runs_db)) as conn:
        of_question = {one.metric: one.value for one in queries.scores(conn, run_id) if one.question == "Q5"}
        run = queries.get_run(conn, run_id)
    assert of_question["bin_accuracy_stated"] == 0.5 and of_question["bin_accuracy"] == 0.75
    assert run is not None and (run.state, run.kind, run.task, run.model) == ("done", "eval", "gt", "Mine")
    assert run.tags == ("imported",) and run.started is None


def test_the_directory_is_enough(tmp_path: Path, home: Home, bring_in: Import, tool: Callable[..., Job]) -> None:
    folder = made(tmp_path / "made", right)
    state(folder, 0.9)
    log = [{"loss": 1.5 - step / 10, "step": step} for step in range(10)]
    (folder / "training_log.json").write_text(json.dumps(log))
    [run_id] = bring_in(folder, data=str(truth(tmp_path / "truth.jsonl")))["runs"]

    def indexed() -> Any:
        with closing(connect(home.runs_db)) as conn:
            detail = queries.get_run(conn, run_id)
            answers = conn.execute("SELECT * FROM predictions WHERE run = ?", (run_id,)).fetchall()
            curve = conn.execute("SELECT step, value FROM metrics ORDER BY step").fetchall()
            return detail, queries.scores(conn, run_id), [tuple(row) for row in answers], [tuple(row) for row in curve]

    before = indexed()
    assert before[0].tags == ("imported", "tuned") and len(before[2]) == 40 and len(before[3]) == 10
    reindex(home)
    assert indexed() == before
    # What was imported is rescored as any run is.
    rescore.run(tool("rescore", run=run_id))
    assert overall(home, run_id)["exact"].value == 1.0
    assert overall(home, run_id)["cosine_stated"].value == 0.9
    with pytest.raises(QueueError, match="was imported"):
        queue.retry(home, run_id)


def test_without_references_the_stated_score_stands_with_its_alarms(
    tmp_path: Path, home: Home, bring_in: Import
) -> None:
    folder = made(tmp_path / "flat", lambda at: "20 weeks")
    state(folder, 0.64)
    said = bring_in(folder)
    assert (said["scored"], said["unmatched"]) == (0, 40)
    [run_id] = said["runs"]
    scores = overall(home, run_id)
    assert list(scores) == ["cosine"] and scores["cosine"].value == 0.64 and scores["cosine"].n == 40
    assert [(one.kind, one.question) for one in scores["cosine"].alarms] == [("collapse", "Q5")]
    with closing(connect(home.runs_db)) as conn:
        [warning] = conn.execute("SELECT text FROM messages WHERE run = ?", (run_id,)).fetchall()
        answer = conn.execute("SELECT reference, prediction FROM predictions WHERE run = ?", (run_id,)).fetchone()
    assert warning[0].startswith("40 answers have no reference") and tuple(answer) == (None, "20 weeks")


def test_what_finds_no_partner_is_counted_and_named(tmp_path: Path, home: Home, bring_in: Import) -> None:
    folder = made(tmp_path / "made", right, images=40)
    said = bring_in(folder, data=str(truth(tmp_path / "truth.jsonl", images=30)))
    assert (said["scored"], said["unmatched"], said["unanswered"]) == (30, 10, 0)
    assert overall(home, said["runs"][0])["exact"].n == 30
    said = bring_in(folder, data=str(truth(tmp_path / "more.jsonl", images=60)))
    assert (said["scored"], said["unmatched"], said["unanswered"]) == (40, 0, 20)
    exact = overall(home, said["runs"][0])["exact"]
    assert exact.value == 1 and exact.n == 40
    assert "answers 40 of the 60 questions" in " ".join(alarm.text for alarm in exact.alarms)
    with closing(connect(home.runs_db)) as conn:
        words = [row[0] for row in conn.execute("SELECT text FROM messages ORDER BY id")]
    assert words[0].startswith("10 answers find no reference") and "/data/fada/Femur/30.png (Q5)" in words[0]
    assert words[1].startswith("20 references find no answer") and "Femur/40.png#Q5" in words[1]


def test_a_rescore_takes_nothing_back_that_an_import_said(
    tmp_path: Path, home: Home, bring_in: Import, tool: Callable[..., Job]
) -> None:
    """Half of the data has answers: scored again they are no more, and the stated figure still stands beside."""
    folder = made(tmp_path / "made", right, images=20)
    state(folder, 0.64)
    [run_id] = bring_in(folder, data=str(truth(tmp_path / "truth.jsonl")))["runs"]
    before = overall(home, run_id)
    assert "answers 20 of the 40 questions" in " ".join(one.text for one in before["exact"].alarms)
    rescore.run(tool("rescore", run=run_id))
    after = overall(home, run_id)
    assert after.keys() == before.keys()
    for metric, score in after.items():
        told = before[metric]
        assert (set(score.alarms), score.references) == (set(told.alarms), told.references), metric
    assert after["cosine"].references["stated"] == 0.64 and after["cosine_stated"].references["rescored"] == 1


def test_nothing_is_made_of_what_does_not_fit(tmp_path: Path, home: Home, bring_in: Import) -> None:
    folder = made(tmp_path / "made", right)
    other = truth(tmp_path / "truth.jsonl")
    other.write_text(other.read_text().replace("Femur/", "Aorta/"))
    with pytest.raises(JobError, match=r"none of 40 answers .* /data/fada/Femur/0\.png \(Q5\)"):
        bring_in(folder, data=str(other))
    with pytest.raises(DataError, match="no such folder"):
        bring_in(tmp_path / "nowhere")
    assert [path.name for path in home.runs.glob("*/spec.json")] == []


def test_the_same_answers_from_two_folders_are_duplicates_but_not_of_themselves(
    tmp_path: Path, home: Home, bring_in: Import
) -> None:
    data = str(truth(tmp_path / "truth.jsonl"))
    first = made(tmp_path / "first", lambda at: AGES[at % 2])
    copy = made(tmp_path / "copy", lambda at: AGES[at % 2])
    state(copy, 0.5)

    def kinds(runs: list[int]) -> list[set[str]]:
        return [{alarm.kind for alarm in overall(home, run)["exact"].alarms} for run in runs]

    runs = [bring_in(folder, data=data)["runs"][0] for folder in (first, first)]
    assert kinds(runs) == [set(), set()]
    runs += bring_in(copy, data=data)["runs"]
    assert kinds(runs) == [{"duplicate"}] * 3


def test_only_a_training_log_is_a_fine_tune(tmp_path: Path, home: Home, bring_in: Import) -> None:
    (tmp_path / "training_log.json").write_text('[{"loss": 1.0, "step": 1}]')
    (tmp_path / "run_manifest.json").write_text('{"model": "Some-VLM", "final_loss": 1.0}')
    [run_id] = bring_in(tmp_path)["runs"]
    with closing(connect(home.runs_db)) as conn:
        run = queries.get_run(conn, run_id)
    assert run is not None and (run.kind, run.state, run.model) == ("finetune", "done", "Some-VLM")


def test_an_embedding_that_is_not_there_is_replaced_by_none(tmp_path: Path, home: Home, bring_in: Import) -> None:
    folder = made(tmp_path / "made", right)
    [run_id] = bring_in(folder, data=str(truth(tmp_path / "truth.jsonl")), embedding="no-such-embedding")["runs"]
    assert list(overall(home, run_id)) == ["exact"]
    with closing(connect(home.runs_db)) as conn:
        assert conn.execute("SELECT text FROM messages").fetchone()[0].startswith("no cosine: ")
