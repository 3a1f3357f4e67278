"""From run directories into rows: once is enough, twice changes nothing, torn lines wait."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.jobs import ingest as module
from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from db.connect import connect, counters
from db.home import Home
from db.migrate import migrate
from db.runs.queries import curve, get_run, last_predictions, messages, run_detail, scores


def make_run(home: Home, conn: sqlite3.Connection) -> Path:
    run_id = store.allocate(home)
    store.create(home, run_id, {"kind": "eval", "task": "gt", "model": {"name": "m"}, "created": 1.0, "held": True})
    adopt(conn, home, run_id)
    return home.run_dir(run_id)


def append(path: Path, *records: dict[str, Any]) -> None:
    with path.open("a") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")


def metric(step: int, value: float | None, name: str = "loss") -> dict[str, Any]:
    return {"t": 1.0 + step, "kind": "metric", "name": name, "value": value, "step": step}


def answer(identity: str, text: str) -> dict[str, Any]:
    keys = dict.fromkeys(("category", "latency_s", "output_tokens", "error"))
    return {"id": identity, "image_path": "a.png", "question": "q", "prediction": text, "reference": "r", **keys}


def test_twice_changes_nothing_and_wakes_nobody(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    append(folder / "events.jsonl", metric(0, 1.0), {"t": 2.0, "kind": "message", "level": "info", "text": "hello"})
    append(folder / "predictions.jsonl", answer("a#Q1", "x"))
    ingest(runs_conn, home, 1)
    before, count = counters(runs_conn), runs_conn.total_changes
    ingest(runs_conn, home, 1)
    assert (counters(runs_conn), runs_conn.total_changes) == (before, count)
    assert len(messages(runs_conn, 1)) == 1


def test_a_torn_last_line_waits_for_its_end(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    line = json.dumps(metric(0, 1.0)) + "\n"
    (folder / "events.jsonl").write_text(line + line[:10])
    ingest(runs_conn, home, 1)
    assert [point.step for point in curve(runs_conn, 1, "loss")] == [0]
    (folder / "events.jsonl").write_text(line + line.replace('"step": 0', '"step": 1'))
    ingest(runs_conn, home, 1)
    assert [point.step for point in curve(runs_conn, 1, "loss")] == [0, 1]


def test_what_is_no_event_is_said_and_skipped(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    (folder / "events.jsonl").write_bytes(b'not json\n[1]\n\xff\xfe\n{"kind": "metric"}\n{"kind": "later", "t": 1}\n\n')
    append(folder / "events.jsonl", metric(3, 0.5))
    ingest(runs_conn, home, 1)
    assert [point.step for point in curve(runs_conn, 1, "loss")] == [3]
    assert [message.level for message in messages(runs_conn, 1)] == ["warning"] * 4


def test_nan_is_kept_as_unknown(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    append(folder / "events.jsonl", metric(0, None), metric(1, 2.0))
    ingest(runs_conn, home, 1)
    detail = run_detail(runs_conn, 1)
    assert detail is not None
    assert detail.metrics["loss"].count == 1 and detail.metrics["loss"].last == 2.0


def test_a_repeated_step_and_a_repeated_answer_supersede(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    append(folder / "events.jsonl", metric(0, 1.0), metric(0, 0.25))
    append(folder / "predictions.jsonl", answer("a#Q1", "old"), answer("a#Q1", "new"))
    ingest(runs_conn, home, 1)
    assert [point.value for point in curve(runs_conn, 1, "loss")] == [0.25]
    assert [one.prediction for one in last_predictions(runs_conn, 1)] == ["new"]


def test_a_file_that_was_cut_is_read_anew(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    append(folder / "events.jsonl", *(metric(step, 1.0) for step in range(10)))
    ingest(runs_conn, home, 1)
    (folder / "events.jsonl").unlink()
    append(folder / "events.jsonl", metric(4, 9.0))
    ingest(runs_conn, home, 1)
    assert [(point.step, point.value) for point in curve(runs_conn, 1, "loss")] == [(4, 9.0)]


def test_scores_grow_and_are_replaced_by_the_file(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    score = {"metric": "exact", "question": None, "category": None, "value": 0.5, "n": 2, "answered": 2, "failed": 0}
    append(
        folder / "events.jsonl", {"t": 1, "kind": "score", **score}, {"t": 2, "kind": "score", **score, "value": 0.6}
    )
    append(folder / "events.jsonl", {"t": 2, "kind": "score", **score, "step": 50})
    ingest(runs_conn, home, 1)
    assert [(one.value, one.partial, one.step) for one in scores(runs_conn, 1)] == [(0.6, True, None), (0.5, True, 50)]
    alarm = {"kind": "collapse", "question": "Q3", "text": "one answer"}
    (folder / "scores.json").write_text(json.dumps({"scores": [{**score, "value": 0.7, "alarms": [alarm]}]}))
    ingest(runs_conn, home, 1)
    final = [one for one in scores(runs_conn, 1) if not one.partial]
    assert [(one.value, one.alarms[0].kind) for one in final] == [(0.7, "collapse")]


def test_the_rate_comes_from_the_event_times(home: Home, runs_conn: sqlite3.Connection) -> None:
    folder = make_run(home, runs_conn)
    progress = [
        {"t": 10.0 + second, "kind": "progress", "done": second * 4, "total": 100, "unit": "step", "phase": "train"}
        for second in range(6)
    ]
    append(folder / "events.jsonl", *progress)
    ingest(runs_conn, home, 1)
    run = get_run(runs_conn, 1)
    assert run is not None and run.rate == pytest.approx(4.0) and (run.done, run.total) == (20, 100)


def test_long_files_are_taken_in_chunks(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 256)
    folder = make_run(home, runs_conn)
    append(folder / "events.jsonl", *(metric(step, 1.0) for step in range(200)))
    append(folder / "predictions.jsonl", answer("long#Q1", "x" * 5000), answer("b#Q1", "y"))
    ingest(runs_conn, home, 1)
    assert len(curve(runs_conn, 1, "loss")) == 200
    assert len(last_predictions(runs_conn, 1)) == 2


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.tuples(st.integers(0, 20), st.floats(-10, 10)), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
)
def test_however_the_file_grows_the_rows_are_the_same(values: list[tuple[int, float]], cuts: list[int]) -> None:
    data = "".join(json.dumps(metric(step, value)) + "\n" for step, value in values).encode()
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name)).ensure()
        migrate(home)
        with closing(connect(home.runs_db)) as conn:
            folder = make_run(home, conn)
            for cut in sorted(min(cut, len(data)) for cut in cuts):
                (folder / "events.jsonl").write_bytes(data[:cut])
                ingest(conn, home, 1)
            (folder / "events.jsonl").write_bytes(data)
            ingest(conn, home, 1)
            expected = dict(values)  # the last value of a step stands
            assert {point.step: point.value for point in curve(conn, 1, "loss")} == pytest.approx(expected)
            assert not messages(conn, 1)
