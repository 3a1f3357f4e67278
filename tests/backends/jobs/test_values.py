"""values.jsonl into runs.db: once, whole, replaced by a new one, and the same again from the directories alone."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import ingest as module
from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from backends.jobs.reindex import reindex
from db.connect import connect
from db.home import Home


def make_run(home: Home, conn: sqlite3.Connection) -> Path:
    run_id = store.allocate(home)
    store.create(home, run_id, {"kind": "eval", "task": "gt", "model": {"name": "m"}, "created": 1.0, "held": True})
    adopt(conn, home, run_id)
    return home.run_dir(run_id)


def answer(identity: str, said: str | None, true: str | None = "right", **more: Any) -> dict[str, Any]:
    keys = dict.fromkeys(("category", "latency_s", "output_tokens", "error"))
    return {
        "id": identity,
        "image_path": "a.png",
        "question": "Q: x",
        "prediction": said,
        "reference": true,
        **keys,
        **more,
    }


def write(path: Path, *records: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


_CLOCK = [10**18]


def write_values(folder: Path, *records: dict[str, Any]) -> None:
    write(folder / "values.jsonl", *records)
    _CLOCK[0] += 1000
    os.utime(folder / "values.jsonl", ns=(_CLOCK[0], _CLOCK[0]))


def rows(conn: sqlite3.Connection) -> list[tuple[Any, ...]]:
    found = conn.execute("SELECT id, topic, verdict, score, vals FROM predictions ORDER BY run, id")
    return [tuple(row) for row in found]


def test_an_answer_has_topic_and_verdict_before_it_is_scored(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    write(
        folder / "predictions.jsonl",
        answer("a.png#Q3", " Right. "),
        answer("a.png#Q3#2", "wrong"),
        answer("b", "right", None, topic="Q5"),
        answer("c", None, error="died"),
        answer("d", "", "right"),
    )
    ingest(runs_conn, home, 1)
    assert [row[:3] for row in rows(runs_conn)] == [
        ("a.png#Q3", "Q3", 1),
        ("a.png#Q3#2", "Q3", 0),
        ("b", "Q5", None),
        ("c", "Q", 0),
        ("d", "Q", 0),
    ]


def test_values_come_in_once_and_a_new_file_replaces_them_all(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    write(folder / "predictions.jsonl", answer("a", "no"), answer("b", "right"), answer("c", "right"))
    write_values(
        folder,
        {"id": "a", "cosine": 0.9, "exact": 1},
        {"id": "b", "cosine": 0.1, "exact": 0},
        {"id": "zzz", "exact": 1},
    )
    ingest(runs_conn, home, 1)
    assert [row[2:] for row in rows(runs_conn)] == [
        (1, 0.9, '{"cosine": 0.9, "exact": 1.0}'),
        (0, 0.1, '{"cosine": 0.1, "exact": 0.0}'),
        (1, None, None),
    ]
    before = runs_conn.total_changes
    ingest(runs_conn, home, 1)
    assert runs_conn.total_changes == before
    write_values(folder, {"id": "c", "accuracy": 0.0})
    ingest(runs_conn, home, 1)
    assert [row[2:] for row in rows(runs_conn)] == [(0, None, None), (1, None, None), (0, 0.0, '{"accuracy": 0.0}')]
    (folder / "values.jsonl").unlink()
    ingest(runs_conn, home, 1)
    assert [row[2:] for row in rows(runs_conn)] == [(0, None, None), (1, None, None), (1, None, None)]


def test_answers_that_come_behind_the_values_get_theirs_too(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    write(folder / "predictions.jsonl", answer("a", "no"))
    write_values(folder, {"id": "a", "exact": 0.25}, {"id": "b", "exact": 0.5})
    ingest(runs_conn, home, 1)
    with (folder / "predictions.jsonl").open("a") as file:
        file.write(json.dumps(answer("b", "no")) + "\n" + json.dumps(answer("a", "again")) + "\n")
    ingest(runs_conn, home, 1)
    assert [row[3] for row in rows(runs_conn)] == [0.25, 0.5]
    write(folder / "predictions.jsonl", answer("b", "cut"))
    ingest(runs_conn, home, 1)
    assert [(row[0], row[3]) for row in rows(runs_conn)] == [("b", 0.5)]


def test_in_pieces_and_from_the_directories_alone_they_are_the_same(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(home, runs_conn)
    write(folder / "predictions.jsonl", *(answer(f"{n}", "right" if n % 2 else "no") for n in range(300)))
    write_values(folder, *({"id": f"{n}", "cosine": n / 300, "exact": int(n % 3 == 0)} for n in range(300)))
    monkeypatch.setattr(module, "CHUNK", 200)
    ingest(runs_conn, home, 1)
    found = rows(runs_conn)
    assert all(row[3] is not None for row in found)
    monkeypatch.undo()
    reindex(home)
    conn = connect(home.runs_db)
    assert rows(conn) == found
    conn.close()


def test_what_is_no_value_is_passed_over(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    write(folder / "predictions.jsonl", answer("a", "no"))
    (folder / "values.jsonl").write_bytes(
        b'\xff\n[1]\n\n{"id": 3}\n{"id": "a", "x": NaN, "y": "1", "z": true, "v": 0.5}\n{"id": "a"'
    )
    ingest(runs_conn, home, 1)
    assert rows(runs_conn)[0][3:] == (0.5, '{"v": 0.5}')
