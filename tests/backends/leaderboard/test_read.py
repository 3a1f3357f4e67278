"""What is read from runs.db: the final row, every alarm, what decides, and comparisons that were made."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from backends.leaderboard.arrange import arrange
from backends.leaderboard.entries import Query, Rank
from backends.leaderboard.published import figures
from backends.leaderboard.read import kinds_there, read_candidates
from db.home import Home

ALARM = {"kind": "collapse", "question": "Q1", "text": "Q1: one answer"}
SPEC = {"data": {"path": "/d/test.jsonl", "sha256": "a" * 64, "limit": None}, "generation": {"batch_size": 8}}


def put_run(conn: sqlite3.Connection, run: int, *rows: dict[str, Any], task: str = "gt", **columns: Any) -> None:
    """A run and its stored scores, each with what it says besides the usual."""
    spec = json.dumps(columns.pop("spec", SPEC))
    found = {"kind": "eval", "state": "done", "model": f"M{run}", **columns}
    conn.execute(
        f"INSERT INTO runs(id, task, attempt, created, position, spec, {', '.join(found)}) "
        f"VALUES (?, ?, 1, 0, ?, ?, {', '.join('?' * len(found))})",
        (run, task, run, spec, *found.values()),
    )
    for row in rows:
        body = {"metric": "cosine", "question": None, "category": None, "value": 0.5, "n": 100, "floors": {}} | row
        conn.execute(
            "INSERT INTO scores(run, metric, question, category, partial, body) VALUES (?,?,?,?,?,?)",
            (run, body["metric"], body["question"], body["category"], row.get("partial", 0), json.dumps(body)),
        )


def test_a_category_has_the_alarms_of_its_run(runs_conn: sqlite3.Connection) -> None:
    put_run(
        runs_conn,
        1,
        {"alarms": [ALARM]},
        {"question": "Q1", "alarms": [ALARM]},
        {"question": "Q2", "alarms": []},
        {"category": "Femur", "alarms": []},
    )
    for query, flat in (
        (Query("gt"), True),
        (Query("gt", None, "Q1"), True),
        (Query("gt", None, "Q2"), False),
        (Query("gt", None, None, "Femur"), True),
    ):
        [one] = read_candidates(runs_conn, None, query).runs
        assert [alarm.kind for alarm in one.alarms] == (["collapse"] if flat else []), query
    assert read_candidates(runs_conn, None, Query("gt")).ofs == (
        (None, None),
        ("Q1", None),
        ("Q2", None),
        (None, "Femur"),
    )


def test_tasks_without_a_whole_lend_their_alarms_too(runs_conn: sqlite3.Connection) -> None:
    unlike = {"kind": "composition", "question": "DD", "text": "training lacks DD"}
    rows = ({"metric": "accuracy", "question": "DD", "alarms": [unlike, ALARM | {"question": "DD"}]},)
    put_run(runs_conn, 1, *rows, {"metric": "accuracy", "question": "DD", "category": "set 1"}, task="u2bench")
    [one] = read_candidates(runs_conn, None, Query("u2bench", "accuracy", "DD", "set 1")).runs
    assert [alarm.kind for alarm in one.alarms] == ["composition"], "a data set raises its own collapse"
    assert arrange(read_candidates(runs_conn, None, Query("u2bench", "accuracy", "DD"))).unranked


def test_the_main_metric_or_what_is_there(runs_conn: sqlite3.Connection) -> None:
    put_run(runs_conn, 1, {"metric": "exact"}, {"metric": "set_f2", "question": "Q1"})
    found = read_candidates(runs_conn, None, Query("gt"))
    assert (found.metric, found.metrics) == ("exact", ("exact",))
    assert read_candidates(runs_conn, None, Query("gt", None, "Q1")).metric == "set_f2"
    assert read_candidates(runs_conn, None, Query("perf")).metric == "tokens_per_s"
    assert kinds_there(runs_conn, None) == ("gt",)


def test_a_growing_score_is_shown_as_such_until_the_final_one(runs_conn: sqlite3.Connection) -> None:
    put_run(runs_conn, 1, {"partial": 1, "value": 0.1}, state="running", done=5, total=9)
    put_run(runs_conn, 2, {"value": 0.6}, {"partial": 1, "value": 0.1})
    first, second = read_candidates(runs_conn, None, Query("gt")).runs
    assert first.partial and not second.partial and second.value == 0.6
    assert arrange(read_candidates(runs_conn, None, Query("gt"))).unranked[0].why == "still running at 5 of 9"


def test_held_out_scores_of_a_training_are_not_on_it(runs_conn: sqlite3.Connection) -> None:
    put_run(runs_conn, 1, {}, kind="finetune")
    assert not read_candidates(runs_conn, None, Query("gt")).runs


@pytest.mark.parametrize("left", [None, "nonsense", '{"ranks": 3}', "[]"])
def test_a_comparison_whose_file_is_gone_or_damaged_tells_no_ranks(
    runs_conn: sqlite3.Connection, home: Home, left: str | None
) -> None:
    tool = {"tool": {"name": "compare", "args": {"runs": [1, 2]}}}
    put_run(runs_conn, 3, kind="tool", task=None, spec=tool)
    if left is not None:
        home.run_dir(3).mkdir()
        (home.run_dir(3) / "scores.json").write_text(left)
    assert not read_candidates(runs_conn, None, Query("gt")).compared


def test_ranks_of_the_newest_comparison(runs_conn: sqlite3.Connection, home: Home) -> None:
    for run, best in ((3, 2), (4, 1)):
        put_run(runs_conn, run, kind="tool", task=None, spec={"tool": {"name": "compare", "args": {"runs": [1, 2]}}})
        home.run_dir(run).mkdir()
        ranks = [{"run": one, "metric": "cosine", "rank_low": best, "rank_high": 2} for one in (1, 2)]
        (home.run_dir(run) / "scores.json").write_text(json.dumps({"ranks": ranks}))
    found = read_candidates(runs_conn, None, Query("gt"))
    assert found.compared == {frozenset((1, 2)): {1: Rank(1, 2, 4), 2: Rank(1, 2, 4)}}
    assert not read_candidates(runs_conn, None, Query("gt", None, "Q1")).compared


def test_published_figures_are_on_our_scale() -> None:
    best = max(figures("u2bench", "u2_score", None), key=lambda one: one.value)
    assert (best.model, best.value, best.verified) == ("Dolphin-V1 (paper v4)", 0.5835, False)
    errors = {one.model: one.value for one in figures("u2bench", "one_minus_rmse", "CVE")}
    assert errors["Dolphin-V1-Preview"] == pytest.approx(1 - 0.256)
    assert all(0 <= one.value <= 1 for one in figures("u2bench", "bleu4", "RG"))
    assert not figures("u2bench", "accuracy", None) and not figures("gt", "cosine", None)
    assert not figures("fetal-gauge", "accuracy", "nothing like it")


def test_a_data_set_has_its_own_collapse_and_a_task_is_flat_where_half_of_them_are(
    runs_conn: sqlite3.Connection,
) -> None:
    flat = {"kind": "collapse", "question": "DD", "text": "DD 21: one answer"}
    rows: list[dict[str, Any]] = [{"question": "DD", "alarms": [flat]}, {"question": "LL", "alarms": []}]
    rows += [
        {"question": "DD", "category": name, "alarms": [flat] if name == "21" else []} for name in ("21", "57", "9")
    ]
    put_run(runs_conn, 1, *({"metric": "accuracy", **row} for row in rows), task="u2bench")
    seen = {}
    for category in (None, "21", "57"):
        [one] = read_candidates(runs_conn, None, Query("u2bench", "accuracy", "DD", category)).runs
        seen[category] = (len(one.alarms), one.questions if one.alarms else 0)
    assert seen == {None: (1, 3), "21": (1, 1), "57": (0, 0)}
    board = arrange(read_candidates(runs_conn, None, Query("u2bench", "accuracy", "DD")))
    assert board.ranked == 1, "one of three"
    board = arrange(read_candidates(runs_conn, None, Query("u2bench", "accuracy", "DD", "21")))
    assert board.ranked == 0 and "1 of 1" in board.unranked[0].why
