"""The lists of the Samples screen: their order, their filters, and that each is read from an index."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.runs import samples
from db.runs.samples import Wanted, briefs, find, group_sizes, metrics_of, runs_on_the_same, sample_at

COUNT = 600


def add(
    conn: sqlite3.Connection, run: int, number: int, *, right: int, score: float | None, error: str | None = None
) -> None:
    image, topic = f"{'AB'[number % 2]}/{number // 4}.png", f"Q{1 + number % 4}"
    vals = None if score is None else json.dumps({"cosine": score, "exact": float(right)})
    conn.execute(
        "INSERT INTO predictions(run, id, position, image_path, category, question, prediction, reference, error, topic, "
        "verdict, score, vals) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (run, f"{image}#{topic}", number * 10, image, "AB"[number % 2], "which?", None if error else f"said {number}",
         "50%_right", error, topic, right, score, vals),
    )  # fmt: skip


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    with closing(connect(home.runs_db)) as opened:
        for run in (1, 2, 3):
            opened.execute(
                "INSERT INTO runs(id, kind, model, state, attempt, created, position, spec) VALUES (?,'eval','m','done',1,1,1,'{}')",
                (run,),
            )
        for number in range(COUNT):
            failed = "died" if number % 50 == 0 else None
            add(
                opened,
                1,
                number,
                right=int(not failed and number % 3 > 0),
                score=(number * 37 % COUNT) / COUNT,
                error=failed,
            )
            add(opened, 2, number, right=int(number % 2), score=None)
        yield opened


def places(conn: sqlite3.Connection, wanted: Wanted, run: int = 1, after: int = -1) -> list[int]:
    return [place // 10 for piece in find(conn, run, wanted, after) for place in piece]


def test_orders_and_filters(conn: sqlite3.Connection) -> None:
    everything = list(range(COUNT))
    assert places(conn, Wanted()) == everything
    assert places(conn, Wanted(), after=5960) == everything[597:]
    assert places(conn, Wanted(worst=True)) == sorted(everything, key=lambda n: n * 37 % COUNT)
    wrong = [n for n in everything if n % 3 == 0 or n % 50 == 0]
    assert places(conn, Wanted(only="wrong")) == wrong
    assert places(conn, Wanted(only="failed")) == everything[::50]
    assert places(conn, Wanted(topic="Q2")) == everything[1::4]
    assert places(conn, Wanted(category="B", topic="Q1")) == []
    assert places(conn, Wanted(category="B", only="wrong")) == [n for n in wrong if n % 2]
    assert places(conn, Wanted(worst=True, metric="exact"))[: len(wrong)] == wrong
    assert places(conn, Wanted(worst=True, metric="none")) == []
    assert places(conn, Wanted(text="SAID 59")) == [59, *range(590, 600)]
    assert places(conn, Wanted(text="0%_r")) == everything and places(conn, Wanted(text="0%r")) == []
    both = Wanted(worst=True, only="wrong", topic="Q1", text="said")
    assert places(conn, both) == sorted((n for n in wrong if n % 4 == 0 and n % 50), key=lambda n: n * 37 % COUNT)


def test_two_runs_are_compared_by_what_is_right(conn: sqlite3.Connection) -> None:
    right = {n: int(n % 3 > 0 and n % 50 > 0) for n in range(COUNT)}
    assert places(conn, Wanted(only="differ", other=2)) == [n for n in range(COUNT) if right[n] != n % 2]
    assert runs_on_the_same(conn, 1) == [2] and runs_on_the_same(conn, 3) == []
    found = sample_at(conn, 1, 10, other=2)
    assert found is not None and found.other is not None
    assert (found.prediction, found.verdict, found.other.run, found.other.verdict) == ("said 1", 1, 2, 1)
    assert {brief.place: brief.other for brief in briefs(conn, 1, [0, 10, 11], 2)} == {0: 0, 10: 1}
    assert sample_at(conn, 1, 11) is None


def test_what_is_not_scored_yet_has_its_wrong_ones_first(conn: sqlite3.Connection) -> None:
    assert metrics_of(conn, 2) == [] and metrics_of(conn, 1) == ["cosine", "exact"]
    assert places(conn, Wanted(worst=True), run=2) == [*range(0, COUNT, 2), *range(1, COUNT, 2)]


def test_groups_are_counted(conn: sqlite3.Connection) -> None:
    assert group_sizes(conn, 1, "topic") == [(f"Q{n}", COUNT // 4) for n in range(1, 5)]
    assert group_sizes(conn, 1, "category") == [("A", 300), ("B", 300)]
    with pytest.raises(ValueError, match="id"):
        group_sizes(conn, 1, "id")


def test_a_long_answer_is_cut_in_the_list_only(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE predictions SET prediction = ? WHERE run = 1 AND position = 10", ("x" * 1_000_000,))
    assert [len(brief.said or "") for brief in briefs(conn, 1, [10])] == [samples.SHORT]
    whole = sample_at(conn, 1, 10)
    assert whole is not None and len(whole.prediction or "") == 1_000_000


@pytest.mark.parametrize(
    ("wanted", "sorts"),
    [
        (Wanted(), False),
        (Wanted(worst=True), False),
        (Wanted(only="wrong"), False),
        (Wanted(only="failed"), False),
        (Wanted(only="differ", other=2), False),
        (Wanted(text="x"), False),
        (Wanted(topic="Q1", category="A"), False),
        (Wanted(topic="Q1"), True),
    ],
)
def test_each_list_comes_from_an_index_in_its_order(conn: sqlite3.Connection, wanted: Wanted, sorts: bool) -> None:
    for statement, values in samples._statements(1, wanted, -1):
        plan = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not any(line.startswith("SCAN") for line in plan), plan
        assert any("TEMP B-TREE" in line for line in plan) == sorts, plan
