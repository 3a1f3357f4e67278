"""Reading runs.db: every query is bounded or paged, so a long history opens as fast as a short one."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from db.runs.collapse import spread
from db.runs.curves import curve, summaries
from db.runs.duplicates import mirrored, owed_to, raised
from db.runs.rows import Alarm, Message, Prediction, Run, RunDetail, Score
from db.runs.states import ACTIVE_STATES

__all__ = [
    "active_runs",
    "all_tags",
    "archived_runs",
    "curve",
    "earlier_runs",
    "get_run",
    "last_predictions",
    "latest_samples",
    "list_runs",
    "messages",
    "parents",
    "run_detail",
    "runs_in_state",
    "said_once",
    "scores",
    "spec_of",
    "summary",
    "with_tags",
]

SELECT_RUN = """SELECT id, kind, task, model, state, reason, exit_code, signal, attempt, created, started, ended, done,
total, unit, phase, rate, reserved_bytes, peak_bytes, fingerprint, position, from_run, tags, note, archived,
engine, CASE kind WHEN 'convert' THEN trim(json_extract(spec, '$.convert.to') || ' ' ||
coalesce(json_extract(spec, '$.convert.quant'), '')) END AS export FROM runs"""


Known = dict[int, tuple[tuple[Any, ...], Run]]
"""Runs that were read before, each with the values that it was made of."""


def list_runs(
    conn: sqlite3.Connection, limit: int | None = None, archived: bool = True, known: Known | None = None
) -> list[Run]:
    """Every run, oldest first; with ``limit``, all that are not over and the newest of the others.

    Args:
        archived: False leaves out those that are put away.
        known: Of one who asks again and again: what has not changed is the same object as before. It is brought up to
            date here.
    """
    shown = "1" if archived else "(archived = 0 OR state IN ('queued','held','starting','running','paused'))"
    if limit is None:
        rows = conn.execute(f"{SELECT_RUN} WHERE {shown} ORDER BY id").fetchall()
    else:
        newest = "" if archived else "WHERE archived = 0"
        rows = conn.execute(
            f"{SELECT_RUN} WHERE {shown} AND (state IN ('queued','held','starting','running','paused') "
            f"OR id IN (SELECT id FROM runs {newest} ORDER BY id DESC LIMIT ?)) ORDER BY id",
            (limit,),
        ).fetchall()
    return runs_of(conn, rows, known)


def archived_runs(conn: sqlite3.Connection, limit: int) -> tuple[int, list[Run]]:
    """How many runs are put away, and the newest of them, the newest first."""
    (number,) = conn.execute("SELECT count(*) FROM runs WHERE archived = 1").fetchone()
    rows = conn.execute(f"{SELECT_RUN} WHERE archived = 1 ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return number, runs_of(conn, rows)


def with_tags(runs: Iterable[Run], tags: Iterable[str]) -> list[Run]:
    """Those runs that have every one of ``tags``, whatever their case."""
    wanted = {tag.casefold() for tag in tags}
    return [run for run in runs if wanted <= {tag.casefold() for tag in run.tags}]


def all_tags(conn: sqlite3.Connection) -> dict[str, int]:
    """Every tag in use and how many runs have it, by name."""
    rows = conn.execute(
        "SELECT value, count(*) FROM runs, json_each(tags) WHERE tags IS NOT NULL GROUP BY value ORDER BY value"
    )
    return {row[0]: row[1] for row in rows}


def get_run(conn: sqlite3.Connection, run_id: int) -> Run | None:
    runs = runs_of(conn, conn.execute(f"{SELECT_RUN} WHERE id = ?", (run_id,)).fetchall())
    return runs[0] if runs else None


def runs_in_state(conn: sqlite3.Connection, *states: str) -> list[Run]:
    """Runs in any of ``states``, in queue order."""
    marks = ",".join("?" * len(states))
    return runs_of(
        conn, conn.execute(f"{SELECT_RUN} WHERE state IN ({marks}) ORDER BY position, id", states).fetchall()
    )


def active_runs(conn: sqlite3.Connection) -> list[Run]:
    return runs_in_state(conn, *ACTIVE_STATES)


def spec_of(conn: sqlite3.Connection, run_id: int) -> dict[str, Any]:
    """What a run was asked to do, as it was frozen."""
    found: dict[str, Any] = json.loads(conn.execute("SELECT spec FROM runs WHERE id = ?", (run_id,)).fetchone()[0])
    return found


def earlier_runs(conn: sqlite3.Connection, run_id: int, limit: int = 20) -> list[tuple[int, str, float, float]]:
    """Id, spec, begin and end of the newest runs of a run's model and kind that were done in one attempt."""
    row = conn.execute("SELECT kind, task, model FROM runs WHERE id = ?", (run_id,)).fetchone()
    rows = conn.execute(
        "SELECT id, spec, started, ended FROM runs WHERE model = ? AND kind = ? AND task IS ? AND state = 'done' "
        "AND attempt = 1 AND ended > started AND id != ? ORDER BY id DESC LIMIT ?",
        (row["model"], row["kind"], row["task"], run_id, limit),
    )
    return [(past[0], past[1], past[2], past[3]) for past in rows]


def runs_of(conn: sqlite3.Connection, rows: list[sqlite3.Row], known: Known | None = None) -> list[Run]:
    """The runs of rows of ``SELECT_RUN``; ``known`` as in :func:`list_runs`."""
    base = _runs_folder(conn)
    after: dict[int, list[int]] = defaultdict(list)
    pairs = conn.execute(
        "SELECT run, parent FROM dependencies WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, parent",
        (json.dumps([row["id"] for row in rows]),),
    )
    for run, parent in pairs:
        after[run].append(parent)
    before = known or {}
    found: Known = {}
    for row in rows:
        # Making thousands of them takes four times as long as reading them.
        run_id, parents = row[0], after.get(row[0], ())
        values = (*row, base, *parents)
        same = before.get(run_id)
        if same is None or same[0] != values:
            same = values, _run(dict(row), tuple(parents), f"{base}/{run_id}")
        found[run_id] = same
    if known is not None:
        known.clear()
        known.update(found)
    return [run for _, run in found.values()]


def _run(row: dict[str, Any], after: tuple[int, ...], run_dir: str) -> Run:
    row["tags"] = tuple(json.loads(row["tags"])) if row["tags"] else ()
    row["note"], row["archived"] = row["note"] or "", bool(row["archived"])
    return Run(**row, after=after, run_dir=run_dir)


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
    return RunDetail(run, spec, summaries(conn, run_id), tuple(messages(conn, run_id, limit=1000)))


def summary(conn: sqlite3.Connection, run_id: int) -> dict[str, Any]:
    """What the `finished` or `failed` event said; empty before the end."""
    row = conn.execute("SELECT summary FROM runs WHERE id = ?", (run_id,)).fetchone()
    return json.loads(row[0]) if row and row[0] else {}


def said_once(said: Sequence[Message]) -> tuple[Message, ...]:
    """Each message where it came last: every attempt at a run says again what is the matter with its data."""
    last: dict[tuple[str, str], Message] = {}
    for one in reversed(said):
        last.setdefault((one.level, one.text), one)
    return tuple(reversed(last.values()))


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


_WHOLE = "{0}.question IS NULL AND {0}.category IS NULL"
_OR_TASKS = (
    f" OR r.task = 'u2bench' AND NOT EXISTS (SELECT 1 FROM scores o WHERE o.run = s.run AND {_WHOLE.format('o')})"
)


def scores(
    conn: sqlite3.Connection,
    run_id: int | None = None,
    overall_only: bool = False,
    *,
    extra: bool = False,
    tasks: bool = False,
) -> list[Score]:
    """Scores of one run or of all, oldest run first; while a run grows, its partial rows.

    Overall rows also have the alarms of later runs that found the same results, rows of a category those of questions
    whose answers are all alike.

    Args:
        extra: With what a row was stored with besides.
        tasks: Of a run that has no overall row, a U2-BENCH run of some of its tasks, those of the tasks instead.
    """
    where = ["1"]
    values: list[Any] = []
    if run_id is not None:
        where.append("s.run = ?")
        values.append(run_id)
    if overall_only:
        where.append(f"s.category IS NULL AND ({_WHOLE.format('s')}{_OR_TASKS if tasks else ''})")
    rows = conn.execute(
        "SELECT s.*, r.model, coalesce(r.task, r.kind) AS kind, r.fingerprint, r.from_run "
        f"FROM scores s JOIN runs r ON r.id = s.run WHERE {' AND '.join(where)} ORDER BY s.run, s.id",
        values,
    )
    found = spread([_score(row, extra) for row in rows])
    owed = owed_to(conn) if run_id is not None and found else mirrored(raised(found))
    return [_with_alarms(one, owed.get(one.run or 0, ())) for one in found] if owed else found


def _with_alarms(score: Score, alarms: tuple[Alarm, ...]) -> Score:
    if not alarms or score.question is not None or score.category is not None:
        return score
    return replace(score, alarms=(*score.alarms, *alarms))


_KNOWN = {field.name for field in fields(Score)}


def _score(row: sqlite3.Row, extra: bool = False) -> Score:
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
        answered=body.get("answered", body["n"]),
        failed=body.get("failed", 0),
        empty=body.get("empty") or 0,
        unparseable=body.get("unparseable") or 0,
        source=body.get("source", "run"),
        floors=body.get("floors") or {},
        references=body.get("references") or {},
        alarms=tuple(Alarm(a["kind"], a.get("question"), a["text"]) for a in body.get("alarms") or ()),
        fingerprint=row["fingerprint"],
        partial=bool(row["partial"]),
        step=row["step"],
        from_run=row["from_run"],
        extra={key: value for key, value in body.items() if key not in _KNOWN} if extra else {},
    )


def latest_samples(conn: sqlite3.Connection, since: float, limit: int = 600) -> list[dict[str, Any]]:
    """Telemetry samples after ``since`` (Unix seconds), oldest first, in the form of the telemetry codec."""
    rows = conn.execute("SELECT body FROM samples WHERE t > ? ORDER BY t DESC LIMIT ?", (since, limit)).fetchall()
    return [json.loads(row[0]) for row in reversed(rows)]
