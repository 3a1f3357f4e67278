"""No number leaves the command without what makes it hard to believe: each place that prints a score of a flat run."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import pytest

from backends.jobs import store
from backends.jobs.alarms import scores_text
from backends.jobs.files import read_json, write_json
from backends.jobs.ingest import ingest
from db.connect import connect
from db.home import Home
from db.runs.queries import scores
from db.runs.rows import Alarm, Score
from fada_tui.cli import run
from fada_tui.cli.beforeafter import shown
from fada_tui.cli.results import as_document
from fada_tui.cli.scoretext import alarm_words, score_line
from fada_tui.widgets.runlines import score_lines
from tests.fada_tui.evals import always_the_same, failing_every, put_eval, right_but_every

FLAT = Score(
    7, "m", "gt", "cosine", None, None, 0.64, 0.61, 0.66, 480, 470, 10, "run", {"majority": 0.7, "shuffled": 0.6},
    alarms=(Alarm("collapse", "Q1", "Q1: 100% of 60"), Alarm("collapse", "Q2", "Q2: 100% of 60")), empty=3, unparseable=2,
)  # fmt: skip


def out(home: Home, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["--home", str(home.root), *words]) == 0
    return capsys.readouterr().out


def test_a_line_has_counts_floors_gain_and_alarms() -> None:
    assert score_line(FLAT) == (
        "cosine 0.640 [0.610, 0.660]  n 480, 10 failed, 3 empty, 2 unparseable"
        "  (majority 0.700, shuffled 0.600, gain -0.060)  ⚠ collapse ×2"
    )
    assert score_line(replace(FLAT, alarms=(), floors={}, failed=0, empty=0, unparseable=0, ci_low=None)) == (
        "cosine 0.640  n 480"
    )
    assert alarm_words(replace(FLAT, alarms=())) == ""
    assert scores_text([FLAT]) == "cosine=0.64 alarms=collapse"
    assert scores_text([replace(FLAT, alarms=())]) == "cosine=0.64"


def test_the_run_pane_counts_what_is_empty_and_unreadable() -> None:
    said = "\n".join("".join(text for text, _ in line) for line in score_lines([FLAT], 120))
    assert "n 480, 10 failed, 3 empty, 2 unparseable" in said and "⚠" in said


def test_before_and_after_a_fine_tune_both_tell_their_alarms() -> None:
    base, tuned = as_document(FLAT), as_document(replace(FLAT, alarms=()))
    said = shown([{"tune": 3, "tags": [], "before": [base], "after": [tuned], "differences": []}])
    assert "⚠ #3 before collapse: Q1: 100% of 60" in said


def test_a_flat_run_is_marked_wherever_its_score_is_printed(
    panel_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = put_eval(panel_home, "Qwen2.5-VL-7B", always_the_same)
    failing = put_eval(panel_home, "Qwen2.5-VL-7B", failing_every(4))
    for words in (["scores", "--run", str(flat)], ["scores", "--overall"], ["job", str(flat)]):
        line = next(line for line in out(panel_home, capsys, *words).splitlines() if "exact" in line)
        assert "⚠ collapse" in line and "0." in line, words
    assert "Q1: 100%" in out(panel_home, capsys, "job", str(flat))
    for words in (["scores", "--run", str(failing)], ["job", str(failing)]):
        line = next(line for line in out(panel_home, capsys, *words).splitlines() if "exact" in line)
        assert "30 failed" in line and "⚠ coverage" in line
    row = json.loads(out(panel_home, capsys, "--json", "scores", "--run", str(failing)))[0]
    assert (row["n"], row["answered"], row["failed"], row["empty"], row["unparseable"]) == (120, 90, 30, 0, 0)


def test_of_two_runs_with_the_same_answers_both_are_marked(
    panel_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (put_eval(panel_home, "Qwen2-VL-7B", right_but_every(5)) for _ in range(2))
    third = put_eval(panel_home, "Qwen2-VL-7B", right_but_every(4))
    folder = panel_home.run_dir(second)
    document = read_json(folder / "scores.json") or {}
    text = f"every one of 120 answers is the same as in #{first} (Qwen2-VL-7B)"
    for row in document["scores"]:
        if row["question"] is None and row["category"] is None:
            row["alarms"].append({"kind": "duplicate", "question": None, "text": text})
    write_json(folder / "scores.json", document)
    store.write_attempt(folder, store.Attempt(2, ended=store.now(), exit_code=0))
    with closing(connect(panel_home.runs_db)) as conn:
        ingest(conn, panel_home, second)
        found = {
            one: [alarm.text for score in scores(conn, one, True) for alarm in score.alarms]
            for one in (first, second, third)
        }
        assert found[second] == [text] and found[third] == []
        assert found[first] == [f"every one of 120 answers is the same as in #{second} (Qwen2-VL-7B)"]
        everywhere = {(score.run, alarm.text) for score in scores(conn) for alarm in score.alarms}
        assert everywhere == {(one, text) for one, texts in found.items() for text in texts}
    board = out(panel_home, capsys, "leaderboard", "--kind", "gt", "--all", "--format", "csv")
    marked = [line for line in board.splitlines() if ",⚠ duplicate," in line]
    assert len(marked) == 2 and not any(f",Qwen2-VL-7B,{third}," in line for line in marked)
    board = out(panel_home, capsys, "leaderboard", "--kind", "gt", "--all", "--question", "Q1", "--format", "csv")
    assert sum(",⚠ duplicate," in line for line in board.splitlines()) == 2
