"""A benchmark's published table with a run's own row among the others, in the command and on the screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.jobs.files import read_json, write_json
from backends.leaderboard.published import published
from db.home import Home
from fada_tui.cli import run
from fada_tui.leaderboard.beside import beside_table
from fada_tui.screens.besiderows import beside_rows
from fada_tui.widgets.line import Row, line_width
from tests.fada_tui.evals import always_the_same, put_eval

OWN = {"model": "Mine", "category": "own", "dd_acc": 0.5, "cve_rmse": 0.25, "rg_bleu4_pct": 12.5, "source": "this run"}
TABLE = [dict(row) for row in published("u2bench")] + [OWN]


def plain(rows: list[Row]) -> list[str]:
    return ["".join(text for text, _ in row.line) for row in rows]


def test_the_columns_are_the_published_ones_and_second_hand_rows_are_marked() -> None:
    whole = beside_table(TABLE, whole=True)
    words = ("model", "category", "source", "verification", "note")
    assert len(whole.columns) == len([name for name in published("u2bench")[0] if name not in words])
    assert sum(row.second_hand for row in whole.rows) == 3 and [row.own for row in whole.rows].count(True) == 1
    main = beside_table(TABLE)
    assert main.columns == ("U2", "DD", "VRA", "LL", "OD", "KD", "CVE rmse", "RG bleu4", "CG bleu4")
    assert main.rows[-1].cells == ("–", "0.500", "–", "–", "–", "–", "0.250", "12.5", "–")
    second = next(row for row in main.rows if row.model.startswith("GPT-5"))
    assert second.cells[0] == "0.325" and second.marks == "second-hand"


def test_a_model_that_was_tuned_there_is_another() -> None:
    names = [row.model for row in beside_table(published("fetal-gauge")).rows]
    assert len(set(names)) == len(names) and "Llama-3.2-11B-Vision (LoRA fine-tuned on train split)" in names


@pytest.mark.parametrize("width", [78, 118, 198])
def test_the_row_of_a_run_with_alarms_has_them_beside_it(width: int) -> None:
    rows = beside_rows(TABLE, True, width)
    assert all(line_width(row.line) <= width for row in rows)
    lines = plain(rows)
    assert any(line.startswith("⚠ Mine") for line in lines) and sum(line.startswith("† ") for line in lines) == 4
    assert any(line.startswith("❯ Mine") for line in plain(beside_rows(TABLE, False, width)))
    assert beside_rows((), False, width) == []


def test_the_command_prints_it(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    number = put_eval(panel_home, "Qwen2-VL-2B", always_the_same)

    def call(*words: str) -> tuple[int, str]:
        status = run(["--home", str(panel_home.root), *words])
        return status, capsys.readouterr().out

    assert call("scores", "--run", str(number), "--published")[0] == 2
    assert call("scores", "--published")[0] == 2
    file = Path(panel_home.run_dir(number)) / "scores.json"
    write_json(file, {**(read_json(file) or {}), "leaderboard": TABLE})
    status, said = call("scores", "--run", str(number), "--published")
    assert status == 0 and "Random Guessing" in said and f"⚠ #{number} collapse: Q1" in said
    assert json.loads(call("--json", "scores", "--run", str(number), "--published")[1])[-1] == OWN
