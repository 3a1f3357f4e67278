"""Curves in buckets: whatever comes, in whatever batches, they say what a plain computation over the points says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.connect import connect, immediate
from db.home import Home
from db.runs import curves
from db.runs.curves import add_points, curve, curve_id, last_time, rebuild_buckets, stretch, summaries
from db.runs.schema import _CURVES

Points = Sequence[tuple[int, float | None]]

VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False))
STEPS = st.one_of(st.integers(0, 300), st.integers(-50, 5000), st.integers(0, 2**50))
RUNS_OF_STEPS = st.tuples(st.integers(-20, 3000), st.integers(1, 120), st.sampled_from([1, 3, 16, 250]), VALUES).map(
    lambda one: [(one[0] + i * one[2], None if one[3] is None else one[3] + i) for i in range(one[1])]
)
BATCHES = st.lists(st.one_of(st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=20), RUNS_OF_STEPS), max_size=8)


@contextmanager
def fresh() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        for statement in _CURVES:
            conn.execute(statement)
        yield conn


def take_in(conn: sqlite3.Connection, batch: Points, run: int = 1, name: str = "loss") -> None:
    with immediate(conn):
        one = curve_id(conn, run, name)
        add_points(conn, one, [(one, step, value, step / 2) for step, value in batch])


def rows(conn: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    tables = ("curves", "metrics", "metric_buckets")
    return [[tuple(row) for row in conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")] for table in tables]


def plainly(
    stands: dict[int, float | None], after: int, points: int, levels: int
) -> list[tuple[int, float, float, float]]:
    """Last step, mean, least and greatest of each stretch, from the points alone."""
    steps = [step for step in stands if step > after]
    if not steps:
        return []
    _, width = stretch(min(steps), max(steps), points, levels)
    groups: dict[int, list[tuple[int, float]]] = {}
    for step in sorted(steps):
        value = stands[step]
        if value is not None:
            groups.setdefault(step // width, []).append((step, value))
    found = []
    for group in sorted(groups):
        values = [value for _, value in groups[group]]
        found.append((groups[group][-1][0], sum(values) / len(values), min(values), max(values)))
    return found


@settings(max_examples=150)
@given(batches=BATCHES, points=st.integers(1, 60), after=st.one_of(st.just(-1), st.integers(-60, 4000)))
def test_a_curve_says_what_its_points_say(batches: list[Points], points: int, after: int) -> None:
    with fresh() as conn, patch.object(curves, "FEW", 10):
        for batch in batches:
            take_in(conn, batch)
        stands = {step: value for batch in batches for step, value in batch}
        levels = conn.execute("SELECT coalesce(max(levels), 0) FROM curves").fetchone()[0]
        drawn = curve(conn, 1, "loss", after, points)
        expected = plainly(stands, after, points, levels)
        assert [(one.step, one.low, one.high) for one in drawn] == [
            (step, low, high) for step, _, low, high in expected
        ]
        assert [one.value for one in drawn] == pytest.approx([mean for _, mean, _, _ in expected], abs=1e-3)
        assert len(drawn) <= points + 1

        known = {step: value for step, value in stands.items() if value is not None}
        if not known:
            assert summaries(conn, 1) == {}
            return
        summary = summaries(conn, 1)["loss"]
        assert (summary.count, summary.min, summary.max) == (len(known), min(known.values()), max(known.values()))
        assert summary.last == known[max(known)]


@settings(max_examples=80)
@given(batches=BATCHES)
def test_how_the_points_arrived_leaves_no_trace(batches: list[Points]) -> None:
    with fresh() as one, fresh() as other, patch.object(curves, "FEW", 10):
        for batch in batches:
            take_in(one, batch)
        whole = [point for batch in batches for point in batch]
        if whole:
            take_in(other, whole)
        assert rows(one) == rows(other)
        with immediate(other):
            rebuild_buckets(other)
        assert rows(one) == rows(other)


def test_a_later_attempt_supersedes_in_every_level() -> None:
    with fresh() as conn, patch.object(curves, "FEW", 10):
        take_in(conn, [(step, 1.0) for step in range(5000)])
        take_in(conn, [(step, 3.0) for step in range(2000, 3000)])
        levels = {row[0] for row in conn.execute("SELECT DISTINCT level FROM metric_buckets")}
        assert levels == {1, 2, 3}
        for level in levels:
            count, total = conn.execute(
                "SELECT sum(n), sum(total) FROM metric_buckets WHERE level = ?", (level,)
            ).fetchone()
            assert (count, total) == (5000, 7000.0)
        assert {one.value for one in curve(conn, 1, "loss", points=5)} >= {1.0}
        assert summaries(conn, 1)["loss"].max == 3.0


def test_drawing_a_long_curve_reads_few_rows() -> None:
    """Cost by what SQLite does, not by the clock: its virtual machine's steps for a thousand times the points."""
    spent = {}
    for count in (1_000, 30_000, 300_000):
        with fresh() as conn:
            take_in(conn, [(step, float(step % 7)) for step in range(count)])
            ticks = 0

            def tick() -> int:
                nonlocal ticks
                ticks += 1
                return 0

            conn.set_progress_handler(tick, 100)
            assert 200 <= len(curve(conn, 1, "loss", points=400)) <= 401 + 300
            summaries(conn, 1)
            conn.set_progress_handler(None, 0)
            spent[count] = ticks
    assert spent[300_000] < 8 * spent[1_000]
    assert spent[300_000] < 3 * spent[30_000]


def test_short_curves_have_no_buckets_and_nan_is_left_out() -> None:
    with fresh() as conn:
        take_in(conn, [(step, None if step % 2 else float(step)) for step in range(100)])
        assert conn.execute("SELECT count(*) FROM metric_buckets").fetchone()[0] == 0
        assert [one.step for one in curve(conn, 1, "loss")] == list(range(0, 100, 2))
        assert last_time(conn, 1) == 49.5
        assert curve(conn, 1, "nothing") == [] and curve(conn, 2, "loss") == [] and last_time(conn, 2) is None


def test_curves_of_a_migrated_index_are_what_they_were(tmp_path: Path) -> None:
    import sqlite_utils

    from db.runs.schema import MIGRATIONS, _first

    home = Home(tmp_path).ensure()
    with closing(connect(home.runs_db)) as conn:
        with immediate(conn):
            _first(sqlite_utils.Database(conn))
            conn.executemany(
                "INSERT INTO metrics(run, name, step, value, t) VALUES (?,?,?,?,?)",
                [(run, name, step, step * 0.5, 1.0) for run in (1, 2) for name in ("a", "b") for step in range(6000)],
            )
            conn.execute("PRAGMA user_version = 1")
        from db.migrate import migrate

        migrate(home)
        assert conn.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        found = summaries(conn, 2)
        assert {name: (one.count, one.last) for name, one in found.items()} == {
            "a": (6000, 2999.5),
            "b": (6000, 2999.5),
        }
        assert conn.execute("SELECT count(*) FROM metric_buckets WHERE level = 1").fetchone()[0] == 4 * 375
