"""Telemetry over time: every second for a day, every minute for a month, then nothing.

A sample's whole body is kept for a day; beside it each minute has one row a card, and one of the host, with the sums
that its means are made of. They are added to as samples come, so nothing is lost with whoever writes them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

BODIES_S = 24 * 3600.0
MINUTES_S = 31 * 24 * 3600.0
HOST = -1
"""The card number of the host's own rows: utilisation is the processor's, memory is RAM."""

TABLES = (
    "CREATE TABLE sample_minutes(minute INTEGER NOT NULL, gpu INTEGER NOT NULL, n INTEGER NOT NULL, "
    "utilisation_n INTEGER NOT NULL, utilisation REAL NOT NULL, memory_used INTEGER, memory_total INTEGER, "
    "power_n INTEGER NOT NULL, power REAL NOT NULL, temperature REAL, PRIMARY KEY(minute, gpu)) WITHOUT ROWID",
    "CREATE TABLE gpu_events(t REAL NOT NULL, gpu INTEGER NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL, "
    "PRIMARY KEY(t, gpu, code)) WITHOUT ROWID",
)
_ADD = """INSERT INTO sample_minutes VALUES (?,?,1,?,?,?,?,?,?,?) ON CONFLICT(minute, gpu) DO UPDATE SET n = n + 1,
utilisation_n = utilisation_n + excluded.utilisation_n, utilisation = utilisation + excluded.utilisation,
memory_used = max(coalesce(memory_used, excluded.memory_used), coalesce(excluded.memory_used, memory_used)),
memory_total = coalesce(excluded.memory_total, memory_total),
power_n = power_n + excluded.power_n, power = power + excluded.power,
temperature = max(coalesce(temperature, excluded.temperature), coalesce(excluded.temperature, temperature))"""


@dataclass(frozen=True)
class Span:
    """What a stretch of time came to on one card, or on the host. None where nothing was told."""

    start: float
    gpu: int
    utilisation: float | None
    """Its mean, 0..1."""
    memory_used: int | None
    """The most."""
    memory_total: int | None
    power_w: float | None
    """Its mean."""
    temperature_c: float | None
    """The highest."""


@dataclass(frozen=True)
class Mark:
    """Where a run began or ended."""

    time: float
    run: int
    begins: bool


def add_sample(conn: sqlite3.Connection, document: dict[str, Any]) -> None:
    """Keep one sample, in the form of the telemetry codec, and let go of what is old. Call inside a transaction."""
    moment = document["time"]
    conn.execute("INSERT OR REPLACE INTO samples(t, body) VALUES (?, ?)", (moment, _body(document)))
    conn.executemany(_ADD, [_row(moment, number, part) for number, part in _parts(document)])
    conn.executemany(
        "INSERT OR IGNORE INTO gpu_events VALUES (?,?,?,?)",
        [(one["time"], one["gpu"], one["code"], one["text"]) for one in document.get("xids", ())],
    )
    conn.execute("DELETE FROM samples WHERE t < ?", (moment - BODIES_S,))
    conn.execute("DELETE FROM sample_minutes WHERE minute < ?", (int((moment - MINUTES_S) // 60),))
    conn.execute("DELETE FROM gpu_events WHERE t < ?", (moment - MINUTES_S,))


def _body(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _parts(document: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    host = document["host"]
    yield HOST, host | {"utilisation": host.get("cpu")}
    for gpu in document["gpus"]:
        yield gpu["index"], gpu


def _row(moment: float, number: int, part: dict[str, Any]) -> tuple[Any, ...]:
    busy, power = part.get("utilisation"), part.get("power_w")
    return (
        int(moment // 60),
        number,
        int(busy is not None),
        busy or 0.0,
        part.get("memory_used"),
        part.get("memory_total"),
        int(power is not None),
        power or 0.0,
        part.get("temperature_c"),
    )


def fill_minutes(conn: sqlite3.Connection) -> None:
    """The minutes of the samples that are there: once, when the table is new."""
    for row in conn.execute("SELECT body FROM samples ORDER BY t").fetchall():
        document = json.loads(row[0])
        conn.executemany(_ADD, [_row(document["time"], number, part) for number, part in _parts(document)])


def history(conn: sqlite3.Connection, since: float, until: float, buckets: int) -> list[Span]:
    """What is known of a time in about so many equal stretches of whole minutes, by time; gaps have no row."""
    width = max(1, round((until - since) / 60 / max(1, buckets)))
    rows = conn.execute(
        "SELECT minute / :w * :w * 60, gpu, sum(utilisation), sum(utilisation_n), max(memory_used), max(memory_total), "
        "sum(power), sum(power_n), max(temperature) FROM sample_minutes WHERE minute BETWEEN :a AND :b "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        {"w": width, "a": int(since // 60), "b": int(until // 60)},
    )
    return [
        Span(
            float(start),
            gpu,
            busy / busy_n if busy_n else None,
            used,
            total,
            power / power_n if power_n else None,
            heat,
        )
        for start, gpu, busy, busy_n, used, total, power, power_n, heat in rows
    ]


def marks(conn: sqlite3.Connection, since: float, until: float, limit: int = 200) -> list[Mark]:
    """Where runs began and ended in a time, by time: the newest runs first to be looked at."""
    rows = conn.execute(
        "SELECT id, started, ended FROM runs WHERE started IS NOT NULL AND started <= ? "
        "AND (ended IS NULL OR ended >= ?) ORDER BY id DESC LIMIT ?",
        (until, since, limit),
    )
    found = []
    for run, began, ended in rows:
        if began >= since:
            found.append(Mark(began, run, True))
        if ended is not None and ended <= until:
            found.append(Mark(ended, run, False))
    return sorted(found, key=lambda mark: (mark.time, mark.run))


def samples_since(conn: sqlite3.Connection, since: float) -> Iterator[dict[str, Any]]:
    """Whole samples from a time on, oldest first, read as they are asked for."""
    for row in conn.execute("SELECT body FROM samples WHERE t >= ? ORDER BY t", (since,)):
        yield json.loads(row[0])


def minutes_between(conn: sqlite3.Connection, since: float, until: float) -> Iterable[Span]:
    """Each minute of a time."""
    return history(conn, since, until, max(1, int((until - since) // 60)))


def oldest_body(conn: sqlite3.Connection) -> float | None:
    """The time of the oldest whole sample."""
    found = conn.execute("SELECT min(t) FROM samples").fetchone()[0]
    return None if found is None else float(found)


def events_since(conn: sqlite3.Connection, since: float, limit: int = 100) -> list[dict[str, Any]]:
    """The newest errors that the driver reported, oldest first."""
    rows = conn.execute(
        "SELECT t, gpu, code, text FROM gpu_events WHERE t >= ? ORDER BY t DESC LIMIT ?", (since, limit)
    ).fetchall()
    return [{"time": row[0], "gpu": row[1], "code": row[2], "text": row[3]} for row in reversed(rows)]
