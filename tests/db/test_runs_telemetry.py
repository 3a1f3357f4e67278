"""Samples by the second for a day, by the minute for a month; what a history of them says."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.telemetry import (
    BODIES_S,
    HOST,
    MINUTES_S,
    Mark,
    Span,
    add_sample,
    events_since,
    fill_minutes,
    history,
    marks,
    oldest_body,
    samples_since,
)

T = 1_700_000_040.0
"""The beginning of a minute."""


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    with closing(connect(home.runs_db)) as opened:
        yield opened


def sample(moment: float, busy: float | None = 0.5, used: int | None = 10, **card: Any) -> dict[str, Any]:
    gpu = {"index": 0, "name": "Card", "uuid": "u", "utilisation": busy, "memory_used": used, "memory_total": 32} | card
    host = {"cpu": 0.25, "cores": 2, "memory_used": 7, "memory_total": 16, "disk_free": 9}
    return {"time": moment, "gpus": [gpu], "reason": None, "host": host}


def add(conn: sqlite3.Connection, *documents: dict[str, Any]) -> None:
    with immediate(conn):
        for document in documents:
            add_sample(conn, document)


def test_a_minute_has_means_and_greatest_values_and_what_was_not_told_counts_for_nothing(
    conn: sqlite3.Connection,
) -> None:
    add(
        conn,
        sample(T, 0.2, 10, power_w=100.0, temperature_c=60.0),
        sample(T + 1, 0.6, 20, power_w=300.0, temperature_c=50.0),
        sample(T + 2, None, None, power_w=None, memory_total=None),
    )
    host, gpu = history(conn, T, T + 59, 1)
    assert gpu == Span(T, 0, pytest.approx(0.4), 20, 32, 200.0, 60.0)
    assert host == Span(T, HOST, 0.25, 7, 16, None, None)


def test_stretches_are_whole_minutes_and_gaps_have_no_row(conn: sqlite3.Connection) -> None:
    add(conn, *(sample(T + 60 * minute, minute / 10) for minute in (0, 1, 2, 3, 8, 9)))
    wide = [span for span in history(conn, T, T + 600, 5) if span.gpu == 0]
    assert all(span.start % 120 == 0 for span in wide)
    assert sum(1 for _ in wide) <= 5
    assert [span.utilisation for span in history(conn, T, T + 600, 10) if span.gpu == 0] == pytest.approx(
        [0.0, 0.1, 0.2, 0.3, 0.8, 0.9]
    )


def test_what_is_old_is_let_go(conn: sqlite3.Connection) -> None:
    event = {"time": T, "gpu": 0, "code": 79, "text": "bus"}
    add(conn, sample(T) | {"xids": [event]}, sample(T + BODIES_S - 1))
    assert oldest_body(conn) == T
    add(conn, sample(T + BODIES_S + 1))
    assert oldest_body(conn) == T + BODIES_S - 1
    assert len([span for span in history(conn, T, T + BODIES_S + 60, 10_000) if span.gpu == 0]) == 3
    assert events_since(conn, 0) == [event]
    add(conn, sample(T + MINUTES_S + 61))
    assert len([span for span in history(conn, T, T + MINUTES_S + 120, 10_000_000) if span.gpu == 0]) == 3
    assert events_since(conn, 0) == []


def test_samples_come_back_as_they_were(conn: sqlite3.Connection) -> None:
    documents = [sample(T + second) for second in range(3)]
    add(conn, *documents)
    assert list(samples_since(conn, T + 1)) == documents[1:]


def test_minutes_of_samples_that_an_earlier_version_kept(conn: sqlite3.Connection) -> None:
    rows = [(T + second, json.dumps(sample(T + second, 0.1 * second))) for second in range(3)]
    with immediate(conn):
        conn.executemany("INSERT INTO samples(t, body) VALUES (?, ?)", rows)
        fill_minutes(conn)
    assert [span.utilisation for span in history(conn, T, T + 59, 1)] == [0.25, pytest.approx(0.1)]


def test_marks_are_where_runs_began_and_ended_in_the_time(conn: sqlite3.Connection) -> None:
    rows = [(1, T - 50, T + 5), (2, T + 10, None), (3, T + 20, T + 999), (4, T - 90, T - 80), (5, None, None)]
    with immediate(conn):
        conn.executemany(
            "INSERT INTO runs(id, kind, model, state, attempt, created, position, spec, started, ended) "
            "VALUES (?, 'run', 't', 'done', 1, 1.0, 1.0, '{}', ?, ?)",
            rows,
        )
    assert marks(conn, T, T + 100) == [Mark(T + 5, 1, False), Mark(T + 10, 2, True), Mark(T + 20, 3, True)]
