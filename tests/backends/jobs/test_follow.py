"""A fine-tune with the evaluations that follow it, one like an earlier one, and sweeps. Nothing is run here."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import follow, submit
from backends.jobs.asked import FinetuneAsked
from backends.jobs.errors import QueueError
from backends.jobs.follow import enqueue_finetune_with_evals, evaluated_pair
from backends.jobs.launch_finetune import changed_data, plan_finetune, variants, wanted_like
from backends.jobs.settings import SettingError
from backends.jobs.store import read_spec
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run, parents


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "start_dispatcher", lambda home: None)


@pytest.fixture
def wanted(tiny_checkpoint: Path, phantom_set: dict[str, str]) -> dict[str, Any]:
    data = {"data": phantom_set["train"], "eval_data": phantom_set["val"], "image_root": phantom_set["images"]}
    return {"model": str(tiny_checkpoint), **data, "settings": {"steps": 2, "lr": 1e-3}}


def spec_of(home: Home, run: int) -> dict[str, Any]:
    spec = read_spec(home.run_dir(run))
    assert spec is not None
    return spec


def end(home: Home, run: int, state: str = "done") -> None:
    (home.run_dir(run) / "predictions.jsonl").touch()
    with closing(connect(home.runs_db)) as conn:
        conn.execute("UPDATE runs SET state = ? WHERE id = ?", (state, run))


def test_result_and_base_are_asked_the_same_after_it(home: Home, wanted: dict[str, Any]) -> None:
    tune, tuned, base = enqueue_finetune_with_evals(home, **wanted, precision="fp32", tags=["night"])
    specs = {name: spec_of(home, run) for name, run in (("tune", tune), ("tuned", tuned), ("base", base))}
    assert [specs[name]["kind"] for name in ("tune", "tuned", "base")] == ["finetune", "eval", "eval"]
    for name in ("tuned", "base"):
        assert specs[name]["data"]["path"] == wanted["eval_data"] and specs[name]["data"]["limit"] is None
        assert specs[name]["model"]["precision"] == "fp32"
    assert (
        specs["tuned"]["model"]["from_run"] == tune
        and specs["tuned"]["model"]["parent"] == specs["tune"]["fingerprint"]
    )
    assert specs["base"]["model"]["from_run"] is None
    with closing(connect(home.runs_db)) as conn:
        assert [parent for parent, *_ in parents(conn, tuned)] == [tune] and parents(conn, base) == []
        tags = {run: one.tags for run in (tune, tuned, base) if (one := get_run(conn, run))}
    assert tags == {tune: ("night",), tuned: ("night",), base: ()}


def test_a_base_that_was_evaluated_is_not_asked_again(home: Home, wanted: dict[str, Any]) -> None:
    first = enqueue_finetune_with_evals(home, **wanted)
    assert len(enqueue_finetune_with_evals(home, **wanted)) == 2  # it waits already
    end(home, first[2], "failed")
    assert len(enqueue_finetune_with_evals(home, **wanted)) == 3


def test_without_held_out_data_or_by_wish_nothing_follows(home: Home, wanted: dict[str, Any]) -> None:
    assert len(enqueue_finetune_with_evals(home, **wanted, evaluate=False)) == 1
    assert len(enqueue_finetune_with_evals(home, **{**wanted, "eval_data": None})) == 1


def test_a_pair_is_of_one_base_and_one_question_paper(home: Home, wanted: dict[str, Any]) -> None:
    tune, tuned, base = enqueue_finetune_with_evals(home, **wanted)
    with closing(connect(home.runs_db)) as conn:
        assert evaluated_pair(conn, tune) is None
        end(home, tuned)
        end(home, base)
        assert evaluated_pair(conn, tune) == (base, tuned)


def test_a_run_is_repeated_and_varied_from_its_spec(home: Home, wanted: dict[str, Any]) -> None:
    (tune, *_) = enqueue_finetune_with_evals(home, **wanted)
    like = wanted_like(home, tune)
    again = plan_finetune(home, like.pop("model"), FinetuneAsked(**like))
    before = spec_of(home, tune)
    for part in ("model", "data", "training", "generation", "limits"):
        assert again[part] == before[part]
    assert changed_data(home, tune, again) == []
    other = {**again, "data": {**again["data"], "sha256": "0"}}
    assert "has changed since run" in changed_data(home, tune, other)[0]


def test_only_a_fine_tune_of_ours_can_be_repeated(home: Home, wanted: dict[str, Any]) -> None:
    tune, tuned, _ = enqueue_finetune_with_evals(home, **wanted)
    with pytest.raises(QueueError, match="no fine-tune: eval gt"):
        wanted_like(home, tuned)
    with pytest.raises(QueueError, match="no run #99"):
        wanted_like(home, 99)
    spec = {**spec_of(home, tune), "training": None, "data": None}
    (home.run_dir(tune) / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(QueueError, match="was imported"):
        wanted_like(home, tune)


def test_a_sweep_has_a_run_for_each_combination(home: Home, wanted: dict[str, Any]) -> None:
    points = variants(["lr=1e-4,2e-4", "r=4,8"])
    assert points == [{"learning_rate": lr, "lora.r": r} for lr in (1e-4, 2e-4) for r in (4, 8)]
    model = wanted.pop("model")
    plans = [plan_finetune(home, model, FinetuneAsked(**{**wanted, "settings": point})) for point in points[:2]]
    made = follow.follow(home, plans, tags=[["r=4"], ["r=8"]])
    assert [one.reused for one in made] == [False, True] and made[0].base == made[1].base
    with closing(connect(home.runs_db)) as conn:
        tags = [run.tags for one in made if (run := get_run(conn, one.tune))]
    assert tags == [(f"sweep:{made[0].tune}", "r=4"), (f"sweep:{made[0].tune}", "r=8")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr"], "write it as name=value,value"),
        (["lr=,"], "write it as name=value,value"),
        (["lr=1e-4,x"], "a number is needed"),
        (["lr=1e-4", "learning_rate=2e-4"], "swept twice"),
        (["lr=1e-4,0.0001"], "the same value twice"),
        (["nothing=1"], "there is no setting"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        variants(words)
