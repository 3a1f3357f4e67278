"""Tool jobs on the answers that other runs have left; their own runs are not queued, only worked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.events import EventWriter
from backends.jobs.ingest import adopt, ingest
from backends.jobs.job import Job, JobError
from backends.work import compare, rescore
from backends.work.predictions import Predictions
from db.connect import connect
from db.home import Home
from db.runs.queries import scores as indexed

MakeRun = Callable[..., int]
AGES = ("14 weeks", "20 weeks", "30 weeks")


def record(image: int, said: str | None, true: str | None) -> dict[str, Any]:
    name = f"{'AB'[image % 2]}/{image}.png"
    return {
        "id": f"{name}#Q5",
        "image_path": name,
        "category": name[0],
        "question": "Gestational Age: Which range?",
        "prediction": said,
        "reference": true,
        "latency_s": 0.1,
        "output_tokens": 3,
        "error": None if said is not None else "died",
    }


@pytest.fixture
def make_run(home: Home) -> MakeRun:
    """A run that is over with these answers to 40 images; ``ended=False`` leaves it queued."""

    def make(said: Sequence[str | None], ended: bool = True, true: str | None = "", **parts: Any) -> int:
        run_id = store.allocate(home)
        spec = {
            "format": 1,
            "kind": "eval",
            "task": "gt",
            "created": 1.0,
            "seed": 0,
            "model": {"name": f"model {run_id}", "source": f"m{run_id}"},
            "scoring": {"embedding": None},
            "generation": {"max_new_tokens": 64},
            "fingerprint": f"f{run_id}",
            **parts,
        }
        store.create(home, run_id, spec)
        folder = home.run_dir(run_id)
        lines = [record(at, text, AGES[at % 3] if true == "" else true) for at, text in enumerate(said)]
        (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if ended:
            store.write_attempt(folder, store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
        with closing(connect(home.runs_db)) as conn:
            adopt(conn, home, run_id)
            ingest(conn, home, run_id)
        return run_id

    return make


@pytest.fixture
def tool(home: Home) -> Callable[..., Job]:
    def make(name: str, **arguments: Any) -> Job:
        run_id = store.allocate(home)
        spec = {"kind": "tool", "task": None, "tool": {"name": name, "args": arguments}, "seed": 0}
        return Job(home, run_id, 1, spec, EventWriter(home.run_dir(run_id) / "events.jsonl"))

    return make


RIGHT = [AGES[at % 3] for at in range(40)]
FLAT = ["20 weeks"] * 40


def test_runs_beside_each_other(make_run: MakeRun, tool: Callable[..., Job]) -> None:
    other = {"generation": {"max_new_tokens": 32}}
    good, flat, again = make_run(RIGHT), make_run(FLAT), make_run(FLAT, **other)
    job = tool("compare", runs=[good, flat, again])
    summary = compare.run(job)
    assert summary == {"runs": [good, flat, again], "metrics": ["exact"], "comparisons": 3}
    document = json.loads((job.dir / "scores.json").read_text())
    assert document["finished"] is True and document["scores"] == []
    rows = {(row["a"], row["b"]): row for row in document["comparisons"]}
    assert rows[good, flat]["difference"] == pytest.approx(27 / 40) and rows[good, flat]["ci_low"] > 0.4
    assert rows[good, flat]["p_holm"] < 0.001 and rows[good, flat]["warnings"] == []
    same = rows[flat, again]
    assert same["difference"] == 0 and same["p"] == 1
    assert "duplicate" in same["warnings"][0] and "max_new_tokens 64, 32" in same["warnings"][1]
    assert [row["rank"] for row in document["ranks"]] == [1, 2, 2]


def test_alarms_of_a_run_go_into_its_comparisons(home: Home, make_run: MakeRun, tool: Callable[..., Job]) -> None:
    good, flat = make_run(RIGHT), make_run(FLAT)
    alarm = {"kind": "collapse", "question": "Q5", "text": "Q5: one answer"}
    rows = [{"metric": "exact", "question": None, "category": None, "value": 0.3, "n": 40, "alarms": [alarm, alarm]}]
    (home.run_dir(flat) / "scores.json").write_text(json.dumps({"scores": rows}))
    job = tool("compare", runs=[good, flat])
    compare.run(job)
    (row,) = json.loads((job.dir / "scores.json").read_text())["comparisons"]
    assert row["warnings"] == [f"#{flat} collapse: Q5: one answer"]


def test_a_benchmark_is_compared_by_what_its_scorer_made_of_each_answer(
    home: Home, make_run: MakeRun, tool: Callable[..., Job]
) -> None:
    """A letter is not the text of its option: by exact match both runs would be wrong throughout."""
    runs = [make_run(["A"] * 40, task="fetal-gauge"), make_run(["B"] * 40, task="fetal-gauge")]
    with pytest.raises(JobError, match="kept no value of each answer"):
        compare.run(tool("compare", runs=runs))
    for run, right in zip(runs, (0.75, 0.25), strict=True):
        lines = [{"id": record(at, "A", "x")["id"], "accuracy": float(at % 4 < 4 * right)} for at in range(40)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (home.run_dir(run) / "values.jsonl").write_text(text + "no line\n[1]\n")
    job = tool("compare", runs=runs, also="macro_f1")
    assert compare.run(job)["metrics"] == ["accuracy"]
    document = json.loads((job.dir / "scores.json").read_text())
    (row,) = document["comparisons"]
    assert (row["metric"], row["difference"], row["n_common"]) == ("accuracy", 0.5, 40)
    assert document["left_out"] == ["macro_f1"]
    assert {key: document["parted"][0][key] for key in ("a_right", "b_right")} == {"a_right": 20, "b_right": 0}
    with pytest.raises(JobError, match="no metric 'exact'"):
        compare.run(tool("compare", runs=runs, metrics=["exact"]))
    with pytest.raises(JobError, match="unlike kinds"):
        compare.run(tool("compare", runs=[runs[0], make_run(RIGHT)]))


def test_one_question_or_category_and_other_metrics(make_run: MakeRun, tool: Callable[..., Job]) -> None:
    runs = [make_run(RIGHT), make_run(FLAT)]
    job = tool("compare", runs=runs, metrics=["bin_accuracy"], question="Q5", category="A")
    compare.run(job)
    (row,) = json.loads((job.dir / "scores.json").read_text())["comparisons"]
    # All of the flat answers are in the right bin or beside it: 20 of A lose half where they are a bin off.
    assert (row["metric"], row["question"], row["category"], row["n_common"]) == ("bin_accuracy", "Q5", "A", 20)
    assert row["value_a"] == 1 and 0 < row["value_b"] < 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"runs": [1]}, "two runs"),
        ({"runs": [1, 1]}, "two runs"),
        ({"runs": [1, 99]}, "no run #99"),
        ({"runs": [1, 2]}, "#2 is queued"),
        ({"runs": [1, 3]}, "#3 has no answers"),
        ({"runs": [1, 4], "metrics": ["mcc"]}, "no metric 'mcc'"),
        ({"runs": [1, 4], "metrics": ["cosine"]}, "names no embedding"),
    ],
)
def test_what_cannot_be_compared_is_said(
    make_run: MakeRun, tool: Callable[..., Job], arguments: dict[str, Any], words: str
) -> None:
    assert [make_run(RIGHT), make_run(RIGHT, ended=False), make_run([]), make_run(FLAT)] == [1, 2, 3, 4]
    with pytest.raises(JobError, match=words) as caught:
        compare.run(tool("compare", **arguments))
    assert caught.value.hint


def test_rescoring_replaces_the_scores_and_keeps_the_old(
    home: Home, make_run: MakeRun, tool: Callable[..., Job]
) -> None:
    run_id = make_run(FLAT)
    folder = home.run_dir(run_id)
    old = {
        "scores": [{"metric": "exact", "question": None, "category": None, "value": 0.9, "n": 40}],
        "finished": True,
        "x": 1,
    }
    (folder / "scores.json").write_text(json.dumps(old))
    before = (folder / "predictions.jsonl").read_bytes()
    summary = rescore.run(tool("rescore", run=run_id))
    assert summary["scores"] == {"exact": pytest.approx(13 / 40)} and summary["kept"] == "scores.1.json"
    assert json.loads((folder / "scores.1.json").read_text()) == old
    new = json.loads((folder / "scores.json").read_text())
    assert new["finished"] is True and new["rescored"] is True and new["x"] == 1
    assert {row["metric"] for row in new["scores"]} == {"exact", "bin_accuracy"}
    assert (folder / "predictions.jsonl").read_bytes() == before
    with closing(connect(home.runs_db)) as conn:
        (overall,) = indexed(conn, run_id, overall_only=True)
    assert overall.value == pytest.approx(13 / 40) and [alarm.kind for alarm in overall.alarms] == ["collapse"]
    assert rescore.run(tool("rescore", run=run_id))["kept"] == "scores.2.json"


def test_a_run_that_answers_as_another_is_marked(home: Home, make_run: MakeRun, tool: Callable[..., Job]) -> None:
    first, second, repeat = make_run(RIGHT), make_run(RIGHT), make_run(RIGHT, fingerprint="f1")
    for run_id in (first, second, repeat):
        assert rescore.run(tool("rescore", run=run_id))["kept"] is None

    def marks(run_id: int) -> list[str]:
        rows = json.loads((home.run_dir(run_id) / "scores.json").read_text())["scores"]
        return [alarm["text"] for alarm in rows[0]["alarms"] if alarm["kind"] == "duplicate"]

    assert marks(first) == [], "there was no other then"
    assert len(marks(second)) == 1 and "#1 (model 1)" in marks(second)[0]
    assert len(marks(repeat)) == 1 and "#2" in marks(repeat)[0], "a repeat of #1 should be the same"


def test_answers_without_references_are_counted(home: Home, make_run: MakeRun, tool: Callable[..., Job]) -> None:
    run_id = make_run(RIGHT)
    path = home.run_dir(run_id) / "predictions.jsonl"
    with path.open("a") as file:
        file.write(json.dumps(record(77, "x", None)) + "\n" + '{"torn": ')
    job = tool("rescore", run=run_id)
    assert rescore.run(job)["unmatched"] == 1
    assert json.loads((home.run_dir(run_id) / "scores.json").read_text())["unmatched"] == 1
    assert "1 answers have no reference" in (job.dir / "events.jsonl").read_text()
    assert path.read_bytes().endswith(b'{"torn": '), "nothing of the run is mended in passing"


def test_a_proxy_run_and_another_kind(make_run: MakeRun, tool: Callable[..., Job]) -> None:
    assert rescore.run(tool("rescore", run=make_run(RIGHT, task="proxy")))["scores"] == {"keyword": 1}
    with pytest.raises(JobError, match=r"measured speed.*nothing to rescore"):
        rescore.run(tool("rescore", run=make_run(RIGHT, task="perf")))
    with pytest.raises(JobError, match="no answer of run"):
        rescore.run(tool("rescore", run=make_run(RIGHT, true=None)))


def test_the_answers_are_read_as_the_worker_wrote_them(home: Home, make_run: MakeRun) -> None:
    from backends.work.stored import stored_run

    run_id = make_run([*RIGHT[:3], None])
    kept = Predictions(home.run_dir(run_id) / "predictions.jsonl")
    kept.close()
    job = Job(home, 99, 1, {}, EventWriter(home.root / "events.jsonl"))
    assert {answer.id: answer for answer in stored_run(job, run_id).answers} == kept.answers


@pytest.mark.slow
def test_another_embedding_is_marked_and_both_runs_are_compared_by_one(
    home: Home, make_run: MakeRun, tool: Callable[..., Job]
) -> None:
    named = {"scoring": {"embedding": "all-MiniLM-L6-v2"}}
    other = {"scoring": {"embedding": "all-mpnet-base-v2"}}
    first, second = make_run(RIGHT, **named), make_run(FLAT, **other)
    job = tool("compare", runs=[first, second])
    assert compare.run(job)["metrics"] == ["cosine", "exact"]
    document = json.loads((job.dir / "scores.json").read_text())
    assert document["embedding"]["name"] == "all-MiniLM-L6-v2"
    cosine, exact = document["comparisons"]
    assert 0 < cosine["difference"] < exact["difference"] and cosine["value_a"] == pytest.approx(1, abs=1e-5)
    assert "scoring.embedding" in cosine["warnings"][-1]
    rescore.run(tool("rescore", run=second, embedding="all-MiniLM-L6-v2"))
    rows = json.loads((home.run_dir(second) / "scores.json").read_text())["scores"]
    marked = {row["metric"] for row in rows if any(alarm["kind"] == "fingerprint" for alarm in row["alarms"])}
    assert marked == {"cosine"}
