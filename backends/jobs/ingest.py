"""The one way from a run's directory into runs.db. Doing it twice changes nothing.

Called by the runner, the dispatcher and every `fada` command, so a dead runner's job is finished by whoever
comes next. Offsets and rows share one ``BEGIN IMMEDIATE``; a torn last line waits for its end.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.jobs.absorb import Absorber
from backends.jobs.files import read_json
from backends.jobs.labels import read_labels
from backends.jobs.state import State, derive
from backends.jobs.store import read_spec
from db.connect import bump, check_version, immediate
from db.home import Home
from db.runs.curves import forget_curves, last_time
from db.runs.due import clear_due
from db.runs.states import END_STATES, SAVING, STOPPING, WAITING_STATES
from db.runs.verdict import verdict
from db.versions import RUNS_VERSION

CHUNK = 4 << 20
VALUES = "values.jsonl"
_OF_EVENTS = ("messages", "checkpoints", "scores")
_PER_RUN = ("dependencies", "offsets", "messages", "checkpoints", "predictions", "scores")


def ingest(conn: sqlite3.Connection, home: Home, run_id: int) -> str | None:
    """Bring one run's rows up to its directory; its state, or None for an unknown run.

    A state becomes terminal only in the transaction that has taken in the last complete line.

    Raises:
        SchemaMismatch: The index is one of an earlier version (a job never migrates it) or of a later one.
    """
    while True:
        with immediate(conn):
            # Inside the transaction: a newer version of the program may have come since the last look.
            check_version(conn, RUNS_VERSION, home.runs_db)
            row = conn.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                return None
            folder = home.run_dir(run_id)
            # Inside the transaction: two ingesting processes must not write an older view over a newer one.
            state = derive(folder)
            topics: set[str] = set()
            whole = _take_files(conn, run_id, folder, state, topics)
            if whole or state.name not in END_STATES:
                _update_row(conn, dict(row), state, folder, topics)
            if whole:
                clear_due(conn, run_id)
            if topics:
                bump(conn, *sorted(topics))
        if whole:
            return state.name


def adopt(conn: sqlite3.Connection, home: Home, run_id: int) -> bool:
    """Index a run directory that has no row (a crash between spec.json and the row, or a reindex)."""
    folder = home.run_dir(run_id)
    spec = read_spec(folder)
    if spec is None or not _is_spec(spec):
        return False
    with immediate(conn):
        insert_row(conn, run_id, spec, folder)
        clear_due(conn, run_id)
        bump(conn, "runs")
    return True


def _is_spec(spec: dict[str, Any]) -> bool:
    """Whether it has what every spec has: a damaged one is no run's."""
    kind, created = spec.get("kind"), spec.get("created")
    parts = all(isinstance(spec.get(key) or {}, dict) for key in ("model", "reserve"))
    parents = spec.get("after") or []
    whole = isinstance(parents, list) and all(type(parent) is int for parent in parents)
    return isinstance(kind, str) and isinstance(created, (int, float)) and parts and whole


def insert_row(conn: sqlite3.Connection, run_id: int, spec: dict[str, Any], folder: Path) -> None:
    """The row of a new run; nothing happens where it is there. Call inside a transaction."""
    state = derive(folder)
    reserve = spec.get("reserve") or {}
    conn.execute(
        "INSERT OR IGNORE INTO runs(id, kind, task, model, state, attempt, created, reserved_bytes, fingerprint, "
        "position, exclusive, from_run, spec) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            run_id,
            spec["kind"],
            spec.get("task"),
            (spec.get("model") or {}).get("name") or spec.get("title") or "",
            # A run that is over becomes so only when its files are in.
            "queued" if state.name in END_STATES else state.name,
            state.control.attempt,
            spec["created"],
            state.control.reserve or reserve.get("bytes"),
            spec.get("fingerprint"),
            state.control.position,
            int(bool(reserve.get("exclusive"))),
            (spec.get("model") or {}).get("from_run"),
            json.dumps(spec, ensure_ascii=False),
        ),
    )
    if spec.get("engine"):
        conn.execute("UPDATE runs SET engine = ? WHERE id = ?", (spec["engine"]["name"], run_id))
    conn.executemany(
        "INSERT OR IGNORE INTO dependencies(run, parent, any_end) VALUES (?,?,?)",
        [(run_id, parent, int(bool(spec.get("after_any")))) for parent in spec.get("after") or ()],
    )


def forget(conn: sqlite3.Connection, run_id: int) -> None:
    """Delete a run's indexed rows, but for the run's own. Call inside a transaction."""
    forget_curves(conn, run_id)
    clear_due(conn, run_id)
    _delete(conn, run_id, _PER_RUN)


def empty_index(conn: sqlite3.Connection) -> None:
    """Delete every row that the run directories can give again. Call inside a transaction."""
    for table in ("runs", "curves", "metrics", "metric_buckets", "due", "scanned", *_PER_RUN):
        conn.execute(f"DELETE FROM {table}")


def _delete(conn: sqlite3.Connection, run_id: int, tables: tuple[str, ...]) -> None:
    for table in tables:
        conn.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))


def _take_files(conn: sqlite3.Connection, run_id: int, folder: Path, state: State, topics: set[str]) -> bool:
    """Take in at most one chunk of each file; False where there is more."""
    absorber = Absorber(conn, run_id, state.attempt)
    whole = True
    for name, take in (("events.jsonl", absorber.event), ("predictions.jsonl", absorber.prediction)):
        offset = _offset(conn, run_id, name)
        path = folder / name
        size = _readable_size(path)
        if size is None:
            if state.name in END_STATES:
                absorber.warn(f"{name} is no file that can be read: what it holds is not shown")
            continue
        if size < offset:
            # Somebody cut or replaced the file: what stands in it now is the truth.
            if name == "events.jsonl":
                forget_curves(conn, run_id)
                _delete(conn, run_id, _OF_EVENTS)
                _set_offset(conn, run_id, "scores.json", 0)
            else:
                _delete(conn, run_id, ("predictions",))
                _set_offset(conn, run_id, VALUES, 0)
            offset = 0
        if size == offset:
            continue
        end = offset
        for start, line in _lines(path, offset, CHUNK):
            take(start, line)
            end = start + len(line) + 1
        if end != offset:
            _set_offset(conn, run_id, name, end)
            if name == "predictions.jsonl":
                _set_offset(conn, run_id, VALUES, 0)  # an answer that was given again has lost its values
        whole = whole and size - end < CHUNK and not _has_line(path, end)
    _take_scores(conn, run_id, folder, absorber)
    absorber.flush()
    if whole and not _take_values(conn, run_id, folder / VALUES, absorber):
        whole = False
    topics |= absorber.topics
    return whole


def _readable_size(path: Path) -> int | None:
    """Bytes of a file, 0 where there is none; None for what cannot be read, or would make its reader wait for ever."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) else None


def _take_scores(conn: sqlite3.Connection, run_id: int, folder: Path, absorber: Absorber) -> None:
    path = folder / "scores.json"
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return
    if stamp == _offset(conn, run_id, "scores.json"):
        return
    document = read_json(path)
    if document is None:
        return
    listed = document.get("scores")
    absorber.final_scores(listed if isinstance(listed, list) else [])
    _set_offset(conn, run_id, "scores.json", stamp)


def _take_values(conn: sqlite3.Connection, run_id: int, path: Path, absorber: Absorber) -> bool:
    """At most one chunk of the values of single answers, once all answers are in; False where there is more.

    The file is replaced whole: a new one takes the place of every value.
    """
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        stamp = 0
    part = f"{VALUES} read"
    if stamp != _offset(conn, run_id, VALUES):
        conn.create_function("verdict", 3, verdict, deterministic=True)
        conn.execute(
            "UPDATE predictions SET score = NULL, vals = NULL, verdict = verdict(prediction, reference, error) "
            "WHERE run = ? AND vals IS NOT NULL",
            (run_id,),
        )
        _set_offset(conn, run_id, VALUES, stamp)
        _set_offset(conn, run_id, part, 0)
        absorber.topics.add("predictions")
    start = end = _offset(conn, run_id, part)
    if not stamp or end >= path.stat().st_size:
        return True
    for begin, line in _lines(path, start, CHUNK):
        absorber.value(line)
        end = begin + len(line) + 1
    absorber.flush_values()
    _set_offset(conn, run_id, part, end)
    return end == start or end >= path.stat().st_size


def _lines(path: Path, offset: int, limit: int) -> Iterator[tuple[int, bytes]]:
    """Complete lines from ``offset`` on with where each starts; at least one, where there is one, however long."""
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(limit)
        while b"\n" not in data:
            more = file.read(limit)
            if not more:
                return
            data += more
    for line in data[: data.rindex(b"\n")].split(b"\n"):
        yield offset, line
        offset += len(line) + 1


def _has_line(path: Path, offset: int) -> bool:
    return next(_lines(path, offset, 1 << 16), None) is not None


def _offset(conn: sqlite3.Connection, run_id: int, name: str) -> int:
    row = conn.execute("SELECT offset FROM offsets WHERE run = ? AND file = ?", (run_id, name)).fetchone()
    return row[0] if row else 0


def _set_offset(conn: sqlite3.Connection, run_id: int, name: str, offset: int) -> None:
    conn.execute("INSERT OR REPLACE INTO offsets(run, file, offset) VALUES (?,?,?)", (run_id, name, offset))


def _update_row(conn: sqlite3.Connection, row: dict[str, Any], state: State, folder: Path, topics: set[str]) -> None:
    """Write what differs, so that an unchanged run costs no commit and wakes no panel."""
    attempt = state.attempt
    fresh: dict[str, Any] = {
        "state": state.name,
        "attempt": state.control.attempt,
        "position": state.control.position,
        "exit_code": attempt.exit_code if attempt else None,
        "signal": attempt.signal if attempt else None,
        "started": attempt.started if attempt else None,
        "ended": attempt.ended if attempt else None,
    } | _labels(folder)
    if state.name not in WAITING_STATES:
        fresh["settled"] = None  # it is looked at each time
    if state.control.reserve is not None:  # raised since the spec was frozen
        fresh["reserved_bytes"] = state.control.reserve
    if attempt and attempt.peak_bytes:
        fresh["peak_bytes"] = max(attempt.peak_bytes, row["peak_bytes"] or 0)
    if state.name in END_STATES:
        fresh["reason"] = _end_reason(conn, row["id"], state)
        fresh["ended"] = fresh["ended"] or row["ended"] or _last_seen(conn, row)
    elif state.name not in ("queued", "held"):
        fresh["reason"] = _asked(state) or state.reason
    changed = {key: value for key, value in fresh.items() if row[key] != value}
    if changed:
        sets = ", ".join(f"{key} = ?" for key in changed)
        conn.execute(f"UPDATE runs SET {sets} WHERE id = ?", (*changed.values(), row["id"]))
        topics.add("runs")


def _labels(folder: Path) -> dict[str, Any]:
    labels = read_labels(folder)
    tags = json.dumps(labels.tags, ensure_ascii=False) if labels.tags else None
    return {"tags": tags, "note": labels.note or None, "archived": int(labels.archived)}


def _asked(state: State) -> str | None:
    """What a live run was asked to do and has yet to obey."""
    if state.control.cancel is not None:
        return STOPPING
    return SAVING if state.control.stop else None


def _end_reason(conn: sqlite3.Connection, run_id: int, state: State) -> str | None:
    """A worker's own words say more than its exit code."""
    if state.name != "failed":
        return state.reason
    said = conn.execute("SELECT summary FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
    failed = json.loads(said).get("message") if said else None
    return failed or state.reason


def _last_seen(conn: sqlite3.Connection, row: dict[str, Any]) -> float | None:
    seen = conn.execute(
        "SELECT max(t) FROM (SELECT max(t) AS t FROM messages WHERE run = :r UNION ALL "
        "SELECT mark_time FROM runs WHERE id = :r)",
        {"r": row["id"]},
    ).fetchone()[0]
    return max((time for time in (seen, last_time(conn, row["id"])) if time is not None), default=None)
