"""Reading runs.db: every query is bounded or paged, so a long history opens as fast as a short one."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from typing import Any

from db.runs.rows import ACTIVE_STATES, Alarm, Message, MetricPoint, MetricSummary, Prediction, Run, RunDetail, Score

_RUN = """SELECT id, kind, task, model, state, reason, exit_code, signal, attempt, created, started, ended, done, total,
unit, phase, rate, reserved_bytes, peak_bytes, fingerprint, position, from_run FROM runs"""


def list_runs(conn: sqlite3.Connection, limit: int | None = None) -> list[Run]:
    """Every run, oldest first; with ``limit``, all that are not over and the newest of the others."""
    if limit is None:
        rows = conn.execute(f"{_RUN} ORDER BY id").fetchall()
    else:
        rows = conn.execute(
            f"{_RUN} WHERE state IN ('queued','held','starting','running','paused') "
            "OR id IN (SELECT id FROM runs ORDER BY id DESC LIMIT ?) ORDER BY id",
            (limit,),
        ).fetchall()
    return _runs(conn, rows)


def get_run(conn: sqlite3.Connection, run_id: int) -> Run | None:
    runs = _runs(conn, conn.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchall())
    return runs[0] if runs else None


def runs_in_state(conn: sqlite3.Connection, *states: str) -> list[Run]:
    """Runs in any of ``states``, in queue order."""
    marks = ",".join("?" * len(states))
    return _runs(conn, conn.execute(f"{_RUN} WHERE state IN ({marks}) ORDER BY position, id", states).fetchall())


def active_runs(conn: sqlite3.Connection) -> list[Run]:
    return runs_in_state(conn, *ACTIVE_STATES)


def _runs(conn: sqlite3.Connection, rows: list[sqlite3.Row]) -> list[Run]:
    base = _runs_folder(conn)
    after: dict[int, list[int]] = defaultdict(list)
    if len(rows) == 1:
        pairs = conn.execute("SELECT run, parent FROM dependencies WHERE run = ? ORDER BY parent", (rows[0]["id"],))
    else:
        pairs = conn.execute("SELECT run, parent FROM dependencies ORDER BY run, parent")
    for run, parent in pairs:
        after[run].append(parent)
    return [Run(**dict(row), after=tuple(after[row["id"]]), run_dir=f"{base}/{row['id']}") for row in rows]


def _runs_folder(conn: sqlite3.Connection) -> str:
    """The runs/ folder beside the database file, so that HOME can be moved."""
    file = str(conn.execute("PRAGMA database_list").fetchone()["file"])
    return file.rsplit("/", 1)[0] + "/runs"


def parents(conn: sqlite3.Connection, run_id: int) -> list[tuple[int, bool, str | None]]:
    """What a run waits for: (parent, starts on any end, the parent's state or None where it is gone)."""
    rows = conn.execute(
        "SELECT d.parent, d.any_end, r.state FROM dependencies d LEFT JOIN runs r ON r.id = d.parent WHERE d.run = ?",
        (run_id,),
    )
    return [(row[0], bool(row[1]), row[2]) for row in rows]


def run_detail(conn: sqlite3.Connection, run_id: int) -> RunDetail | None:
    run = get_run(conn, run_id)
    if run is None:
        return None
    spec = json.loads(conn.execute("SELECT spec FROM runs WHERE id = ?", (run_id,)).fetchone()[0])
    return RunDetail(run, spec, metric_summaries(conn, run_id), tuple(messages(conn, run_id, limit=1000)))


def summary(conn: sqlite3.Connection, run_id: int) -> dict[str, Any]:
    """What the `finished` or `failed` event said; empty before the end."""
    row = conn.execute("SELECT summary FROM runs WHERE id = ?", (run_id,)).fetchone()
    return json.loads(row[0]) if row and row[0] else {}


def metric_summaries(conn: sqlite3.Connection, run_id: int) -> dict[str, MetricSummary]:
    """``last`` is SQLite's bare column of the row that holds ``max(step)``; NULL values (NaN) are left out."""
    rows = conn.execute(
        "SELECT name, value AS last, count(*) AS count, max(step), "
        "(SELECT min(value) FROM metrics i WHERE i.run = m.run AND i.name = m.name) AS min, "
        "(SELECT max(value) FROM metrics i WHERE i.run = m.run AND i.name = m.name) AS max "
        "FROM metrics m WHERE run = ? AND value IS NOT NULL GROUP BY name",
        (run_id,),
    )
    return {row["name"]: MetricSummary(row["name"], row["last"], row["count"], row["min"], row["max"]) for row in rows}


def curve(
    conn: sqlite3.Connection, run_id: int, name: str, after_step: int = -1, points: int = 400
) -> list[MetricPoint]:
    """A curve in at most about ``points`` values: the mean of each bucket of steps beyond ``after_step``."""
    low, high = conn.execute(
        "SELECT min(step), max(step) FROM metrics WHERE run = ? AND name = ? AND step > ?", (run_id, name, after_step)
    ).fetchone()
    if low is None:
        return []
    width = max(1, (high - low + 1) // points)
    rows = conn.execute(
        "SELECT max(step), avg(value), max(t) FROM metrics WHERE run = ? AND name = ? AND step > ? "
        "AND value IS NOT NULL GROUP BY (step - ?) / ? ORDER BY 1",
        (run_id, name, after_step, low, width),
    )
    return [MetricPoint(name, row[0], row[1], row[2]) for row in rows]


def messages(conn: sqlite3.Connection, run_id: int, limit: int = 50) -> list[Message]:
    """The newest ``limit`` messages, oldest first."""
    rows = conn.execute(
        "SELECT t, level, text FROM messages WHERE run = ? ORDER BY id DESC LIMIT ?", (run_id, limit)
    ).fetchall()
    return [Message(row["t"], row["level"], row["text"]) for row in reversed(rows)]


_PREDICTION = "id, image_path, category, question, prediction, reference, latency_s, output_tokens, error"


def last_predictions(conn: sqlite3.Connection, run_id: int, limit: int = 20) -> list[Prediction]:
    """The newest answers, newest first."""
    rows = conn.execute(
        f"SELECT {_PREDICTION} FROM predictions WHERE run = ? ORDER BY position DESC LIMIT ?", (run_id, limit)
    )
    return [Prediction(**dict(row)) for row in rows]


def scores(conn: sqlite3.Connection, run_id: int | None = None, overall_only: bool = False) -> list[Score]:
    """Scores of one run or of all, oldest run first; while a run grows, its partial rows."""
    where = ["1"]
    values: list[Any] = []
    if run_id is not None:
        where.append("s.run = ?")
        values.append(run_id)
    if overall_only:
        where.append("s.question IS NULL AND s.category IS NULL")
    rows = conn.execute(
        "SELECT s.*, r.model, coalesce(r.task, r.kind) AS kind, r.fingerprint, r.from_run "
        f"FROM scores s JOIN runs r ON r.id = s.run WHERE {' AND '.join(where)} ORDER BY s.run, s.id",
        values,
    )
    return [_score(row) for row in rows]


def _score(row: sqlite3.Row) -> Score:
    body = json.loads(row["body"])
    return Score(
        run=row["run"],
        model=row["model"],
        kind=row["kind"],
        metric=row["metric"],
        question=row["question"],
        category=row["category"],
        value=body["value"],
        ci_low=body.get("ci_low"),
        ci_high=body.get("ci_high"),
        n=body["n"],
        answered=body["answered"],
        failed=body["failed"],
        source=body.get("source", "run"),
        floors=body.get("floors") or {},
        references=body.get("references") or {},
        alarms=tuple(Alarm(a["kind"], a.get("question"), a["text"]) for a in body.get("alarms") or ()),
        fingerprint=row["fingerprint"],
        partial=bool(row["partial"]),
        step=row["step"],
        from_run=row["from_run"],
    )


def latest_samples(conn: sqlite3.Connection, since: float, limit: int = 600) -> list[dict[str, Any]]:
    """Telemetry samples after ``since`` (Unix seconds), oldest first, in the form of the telemetry codec."""
    rows = conn.execute("SELECT body FROM samples WHERE t > ? ORDER BY t DESC LIMIT ?", (since, limit)).fetchall()
    return [json.loads(row[0]) for row in reversed(rows)]
