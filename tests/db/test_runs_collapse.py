"""A score within a category is over many questions: it never stands without the alarms of those that are flat."""

from __future__ import annotations

from contextlib import closing

import pytest

from db.connect import connect
from db.home import Home
from db.runs.collapse import spread
from db.runs.queries import scores
from db.runs.rows import Alarm, Score
from fada_tui.screens.scorerows import group_rows, table_rows
from fada_tui.widgets.line import plain
from fada_tui.widgets.runlines import breakdown_lines
from tests.answered import FLAT, RIGHT, ages, answered

FLAT_DD = Alarm("collapse", "DD", "DD: one answer")


def score(question: str | None, category: str | None, *alarms: Alarm, step: int | None = None, run: int = 1) -> Score:
    return Score(
        run, "m", "gt", "exact", question, category, 0.5, None, None, 10, 10, 0, "run", alarms=alarms, step=step
    )


def test_a_category_has_the_alarms_of_its_own_run_and_step() -> None:
    late = Alarm("collapse", "Q1", "Q1: later")
    other = Alarm("coverage", None, "few")
    found = spread(
        [
            score(None, None, FLAT_DD, other),
            score("DD", None, FLAT_DD),
            score("Q2", None),
            score(None, "Femur"),
            score("DD", "set 1"),
            score(None, None, late, step=50),
            score(None, "Femur", step=50),
            score(None, "Femur", run=2),
        ]
    )
    assert [one.alarms for one in found] == [
        (FLAT_DD, other), (FLAT_DD,), (), (FLAT_DD,), (), (late,), (late,), (),
    ]  # fmt: skip


@pytest.mark.parametrize("said", [FLAT, RIGHT])
def test_no_view_of_a_collapsed_run_shows_a_category_alone(home: Home, said: tuple[str, ...]) -> None:
    run = answered(home, ages(said))
    with closing(connect(home.runs_db)) as conn:
        found = [one for one in scores(conn, run) if one.metric == "exact"]
    marks = {one.category: bool(one.alarms) for one in found if one.category}
    assert marks == dict.fromkeys("AB", said is FLAT)
    pane = ["".join(text for text, _ in line) for line in breakdown_lines(found, 76, 9)]
    bars = plain(group_rows(found, "exact", "category", 100)).splitlines()
    table = plain(table_rows(found, 100)).splitlines()
    for shown in (pane, bars, table):
        of_categories = [line for line in shown if {"A", "B"} & set(line.replace("⚠", " ").split())]
        assert len(of_categories) == 2 and all(("⚠" in line) == (said is FLAT) for line in of_categories), shown


def test_the_floor_beside_a_score_is_the_highest(home: Home) -> None:
    """A flat run's own answers, dealt out, get what it gets: more than the commonest reference may."""
    run = answered(home, ages(FLAT))
    with closing(connect(home.runs_db)) as conn:
        [one] = [one for one in scores(conn, run) if one.metric == "exact" and one.category == "A"]
    assert one.floor == max(one.floors.values()) and len(set(one.floors.values())) > 1
    line = next(line for line in breakdown_lines([one], 76, 9) if any("floor" in text for text, _ in line))
    assert f"floor {one.floor:.2f}" in "".join(text for text, _ in line)
