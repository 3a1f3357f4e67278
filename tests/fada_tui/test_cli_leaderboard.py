"""`fada leaderboard`, and the fields of `fada scores --json`, on real scores of answers that are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from fada_tui.cli import run
from tests.fada_tui.evals import always_the_same, failing_every, put_eval, right_but_every

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    put_eval(panel_home, "Good", right_but_every(5))
    put_eval(panel_home, "Flat", always_the_same)
    put_eval(panel_home, "Failing", failing_every(9))

    def call(*words: str) -> tuple[int, str, str]:
        status = run(["--home", str(panel_home.root), *words])
        return status, *capsys.readouterr()

    return call


def board_of(fada: Run, *words: str) -> dict[str, Any]:
    status, out, _ = fada("leaderboard", "--kind", "gt", "--metric", "exact", "--json", *words)
    assert status == 0
    [found] = json.loads(out)
    return dict(found)


def test_a_flat_run_and_one_that_failed_are_not_ranked(fada: Run) -> None:
    found = board_of(fada)
    [group] = found["groups"]
    assert [row["model"] for row in group["rows"] if row["ranked"]] == ["Good"]
    assert {row["model"] for row in group["rows"] if row["role"] == "floor"} == {"majority", "shuffled"}
    flat, failing = sorted(found["not_ranked"], key=lambda row: str(row["run"]))
    assert flat["model"] == "Flat" and {alarm["kind"] for alarm in flat["alarms"]} == {"collapse"}
    assert flat["not_ranked_because"] == "one answer for every image in 3 of 3 questions"
    assert failing["failed"] == 14 and "106 of 120 answered" in failing["not_ranked_because"]


@pytest.mark.parametrize("words", [("--question", "Q1"), ("--category", "Femur")])
def test_no_part_of_a_flat_run_stands_without_its_alarm(fada: Run, words: tuple[str, ...]) -> None:
    found = board_of(fada, *words)
    flat = next(row for row in found["not_ranked"] if row["model"] == "Flat")
    assert flat["alarms"]
    status, out, _ = fada("scores", "--run", "2", "--json")
    assert status == 0 and all(row["alarms"] for row in json.loads(out) if row["metric"] == "exact")


def test_scores_give_all_that_was_stored(fada: Run) -> None:
    document = json.loads(fada("scores", "--run", "1", "--json")[1])
    overall = next(row for row in document if row["question"] is None and row["category"] is None)
    assert {"gain", "macro", "micro", "images", "interval", "digest", "scorer", "empty", "unparseable"} <= set(overall)
    assert overall["gain"] == pytest.approx(overall["value"] - max(overall["floors"].values()))
    everything = json.loads(fada("scores", "--json")[1])
    assert any(row.get("approximate") for row in everything if row["source"] == "document")


def test_every_kind_with_scores_is_shown(fada: Run) -> None:
    status, out, _ = fada("leaderboard")
    assert status == 0 and "gt exact, overall: 1 ranked, 2 not" in out and "proxy keyword" in out
    assert "⚠ collapse Q1 Q2 Q3" in out and "floor: majority" in out and "perf tokens_per_s" in out


def test_a_file_in_the_format_of_its_name(fada: Run, tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    words = ("leaderboard", "--kind", "gt", "--output", str(path))
    assert fada(*words)[0] == 0
    with open(path, encoding="utf-8", newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} >= {"Good", "Flat", "majority"}
    path.write_text("mine")
    status, _, err = fada(*words)
    assert status == 2 and "--force" in err and path.read_text() == "mine"
    assert fada(*words, "--force")[0] == 0 and path.read_text() != "mine"
    status, _, err = fada("leaderboard", "--output", str(tmp_path / "board.doc"))
    assert status == 2 and ".tex" in err
    status, _, err = fada("leaderboard", "--output", str(tmp_path / "nowhere" / "board.md"))
    assert status == 1 and "nowhere" in err


def test_what_is_not_there_is_named(fada: Run) -> None:
    status, _, err = fada("leaderboard", "--kind", "gt", "--question", "Q9")
    assert status == 2 and "no scores of gt Q9" in err and "Q1, Q2, Q3" in err
    assert fada("leaderboard", "--kind", "nothing")[0] == 2
