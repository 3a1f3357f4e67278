"""Comparing and rescoring by command: a tool job does it, the command waits and prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.files import read_json
from db.home import Home
from fada_tui.cli import run
from tests.conftest import end_processes

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, Any, str]:
        status = run(["--home", str(panel_home.root), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    yield call
    end_processes(panel_home)


@pytest.mark.slow
@pytest.mark.xdist_group("heavy")
def test_two_runs_compared_and_one_scored_again(
    fada: Run, panel_home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    data = ["--data", phantom_set["test"], "--image-root", phantom_set["images"], "--limit", "6", "--wait"]
    assert fada("eval", str(tiny_checkpoint), *data)[0] == 0
    assert fada("eval", str(tiny_checkpoint), "--kind", "proxy", *data)[0] == 0
    scores = [row for row in fada("scores")[1] if row["source"] == "run"]
    assert {(row["kind"], row["metric"]) for row in scores if row["question"] is None} >= {
        ("gt", "cosine"),
        ("gt", "exact"),
        ("proxy", "keyword"),
    }

    status, found, _ = fada("compare", "1", "2", "--metric", "exact")
    assert status == 0
    [pair] = found
    assert (pair["a"], pair["b"], pair["metric"], pair["n_common"], pair["difference"]) == (1, 2, "exact", 6, 0.0)
    assert any("duplicate" in text for text in pair["warnings"])

    folder = panel_home.run_dir(1)
    before = read_json(folder / "scores.json")
    assert fada("rescore", "1")[:2] == (0, {"runs": [1]})
    assert read_json(folder / "scores.1.json") == before
    assert (read_json(folder / "scores.json") or {})["rescored"] is True


def test_what_cannot_be_compared_is_said(fada: Run) -> None:
    assert fada("compare", "1")[0] == 2
    status, document, _ = fada("compare", "1", "2")
    assert status == 2 and document["error"]["message"] == "there is no run #1"
    assert fada("rescore", "7")[1]["error"]["hint"] == "`fada jobs` lists them"
