"""The answers of one run, to be walked through: lists of places that come in pieces, and the rows at these places.

A place is the byte offset of the answer's line in predictions.jsonl. Every list is read from one index in its order,
so the first rows of a run with a million answers come as fast as those of a small one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ONLY = ("all", "wrong", "failed", "differ")
"""``failed``: asked and not answered. ``differ``: one of two runs is right, the other is not."""
SHORT = 160
"""Characters of an answer that a list needs."""
FIRST, PIECE = 256, 20_000
_PROBES = 24


@dataclass(frozen=True)
class Wanted:
    """Which answers, and in what order."""

    only: str = "all"
    worst: bool = False
    """The lowest values first, else as they stand in the file."""
    metric: str | None = None
    """Whose values; None: the run's first metric."""
    topic: str | None = None
    category: str | None = None
    text: str = ""
    other: int | None = None
    """The run to compare with."""

    @property
    def is_plain(self) -> bool:
        """True for all answers in the file's order."""
        return self == Wanted(other=self.other)


@dataclass(frozen=True)
class Brief:
    """An answer as a list shows it; texts are cut. ``other`` is the other run's verdict."""

    place: int
    image_path: str
    topic: str
    said: str | None
    reference: str | None
    verdict: int | None
    failed: bool
    score: float | None
    values: Mapping[str, float] = field(default_factory=dict)
    other: int | None = None


@dataclass(frozen=True)
class Other:
    """The answer of the run that is compared with."""

    run: int
    prediction: str | None
    error: str | None
    verdict: int | None
    values: Mapping[str, float]


@dataclass(frozen=True)
class Sample:
    """An answer with all that is known of it. ``verdict`` as :func:`db.runs.verdict.verdict` gives it."""

    place: int
    id: str
    image_path: str
    category: str | None
    topic: str
    question: str
    prediction: str | None
    reference: str | None
    error: str | None
    latency_s: float | None
    output_tokens: int | None
    verdict: int | None
    values: Mapping[str, float]
    other: Other | None = None


def find(conn: sqlite3.Connection, run: int, wanted: Wanted, after: int = -1) -> Iterator[list[int]]:
    """The places of the answers that are wanted: a screenful first, then the rest in large pieces.

    Args:
        after: Only places behind this one; of use where :attr:`Wanted.worst` is not.
    """
    for statement, values in _statements(run, wanted, after):
        rows = conn.execute(statement, values)
        size = FIRST
        while piece := rows.fetchmany(size):
            yield [row[0] for row in piece]
            size = PIECE


def _statements(run: int, wanted: Wanted, after: int) -> list[tuple[str, dict[str, Any]]]:
    values: dict[str, Any] = {"run": run, "after": after, "other": wanted.other, "metric": f'$."{wanted.metric}"'}
    values |= {"topic": wanted.topic, "category": wanted.category, "text": f"%{_escaped(wanted.text)}%"}
    where = ["p.run = :run"]
    if after >= 0:
        where.append("p.position > :after")
    where += {"wrong": ["p.verdict = 0"], "failed": ["p.error IS NOT NULL"]}.get(wanted.only, [])
    where += [f"p.{name} = :{name}" for name in ("topic", "category") if getattr(wanted, name) is not None]
    if wanted.text:
        columns = ("prediction", "reference", "question", "id", "error")
        where.append("(" + " OR ".join(f"p.{column} LIKE :text ESCAPE '\\'" for column in columns) + ")")
    join = ""
    if wanted.only == "differ":
        # CROSS: this run's answers in their order, the other's looked up.
        join = " CROSS JOIN predictions o ON o.run = :other AND o.id = p.id AND o.verdict IS NOT p.verdict"

    def statement(index: str, extra: Sequence[str], order: str) -> tuple[str, dict[str, Any]]:
        condition = " AND ".join([*where, *extra])
        return (
            f"SELECT p.position FROM predictions p INDEXED BY {index}{join} WHERE {condition} ORDER BY {order}",
            values,
        )

    index = _index(wanted)
    if not wanted.worst:
        return [statement(index, (), "p.position")]
    if wanted.metric is not None:
        value = "json_extract(p.vals, :metric)"
        return [statement(index, (f"{value} IS NOT NULL",), f"{value}, p.position")]
    # What has no value yet: the wrong ones first.
    return [
        statement("predictions_score", ("p.score IS NOT NULL",), "p.score, p.position"),
        statement("predictions_verdict", ("p.score IS NULL",), "p.verdict, p.position"),
    ]


def _index(wanted: Wanted) -> str:
    if wanted.only == "failed":
        return "predictions_failed"
    if wanted.topic is not None or wanted.category is not None:
        return "predictions_groups"
    return "predictions_verdict" if wanted.only == "wrong" else "predictions_place"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def briefs(conn: sqlite3.Connection, run: int, places: Sequence[int], other: int | None = None) -> list[Brief]:
    """The rows at these places, in no order; a place whose answer was given again since is left out."""
    rows = conn.execute(
        f"SELECT p.position, p.image_path, p.topic, substr(coalesce(p.error, p.prediction), 1, {SHORT}) said, "
        f"substr(p.reference, 1, {SHORT}) reference, p.verdict, p.error IS NOT NULL failed, p.score, p.vals, "
        "o.verdict other FROM predictions p LEFT JOIN predictions o ON o.run = ? AND o.id = p.id "
        "WHERE p.run = ? AND p.position IN (SELECT value FROM json_each(?))",
        (other, run, json.dumps(list(places))),
    )
    return [
        Brief(
            row["position"],
            row["image_path"] or "",
            row["topic"] or "",
            row["said"],
            row["reference"],
            row["verdict"],
            bool(row["failed"]),
            row["score"],
            _values(row["vals"]),
            row["other"],
        )
        for row in rows
    ]


def sample_at(conn: sqlite3.Connection, run: int, place: int, other: int | None = None) -> Sample | None:
    """The answer at a place, and the other run's to the same question."""
    row = conn.execute("SELECT * FROM predictions WHERE run = ? AND position = ?", (run, place)).fetchone()
    if row is None:
        return None
    return Sample(
        place=place,
        id=row["id"],
        image_path=row["image_path"] or "",
        category=row["category"],
        topic=row["topic"] or "",
        question=row["question"] or "",
        prediction=row["prediction"],
        reference=row["reference"],
        error=row["error"],
        latency_s=row["latency_s"],
        output_tokens=row["output_tokens"],
        verdict=row["verdict"],
        values=_values(row["vals"]),
        other=None if other is None else _other(conn, other, row["id"]),
    )


def _other(conn: sqlite3.Connection, run: int, identity: str) -> Other | None:
    row = conn.execute("SELECT * FROM predictions WHERE run = ? AND id = ?", (run, identity)).fetchone()
    return row and Other(run, row["prediction"], row["error"], row["verdict"], _values(row["vals"]))


def _values(text: str | None) -> dict[str, float]:
    return json.loads(text) if text else {}


def group_sizes(conn: sqlite3.Connection, run: int, column: str) -> list[tuple[str, int]]:
    """Each topic or category of a run and how many answers it has, by name.

    Raises:
        ValueError: ``column`` is neither ``topic`` nor ``category``.
    """
    if column not in ("topic", "category"):
        raise ValueError(column)
    rows = conn.execute(
        f"SELECT {column}, count(*) FROM predictions INDEXED BY predictions_groups "
        f"WHERE run = ? AND {column} IS NOT NULL GROUP BY {column} ORDER BY {column}",
        (run,),
    )
    return [(row[0], row[1]) for row in rows]


def metrics_of(conn: sqlite3.Connection, run: int) -> list[str]:
    """The metrics that answers of a run have values of, the run's first one first; none until it is scored."""
    rows = conn.execute(
        "SELECT vals FROM predictions INDEXED BY predictions_score WHERE run = ? AND score IS NOT NULL LIMIT 500",
        (run,),
    )
    return list(dict.fromkeys(name for row in rows for name in _values(row[0])))


def runs_on_the_same(conn: sqlite3.Connection, run: int) -> list[int]:
    """Other runs that were asked questions of this one, newest first: a few of its ids are looked for in each."""
    rows = conn.execute("SELECT min(position), max(position) FROM predictions WHERE run = ?", (run,)).fetchone()
    if rows[0] is None:
        return []
    first, last = rows
    probes = []
    for number in range(_PROBES):
        place = first + (last - first) * number // (_PROBES - 1)
        row = conn.execute(
            "SELECT id FROM predictions INDEXED BY predictions_place WHERE run = ? AND position >= ? "
            "ORDER BY position LIMIT 1",
            (run, place),
        ).fetchone()
        probes.append(row[0])
    found = conn.execute(
        "SELECT id FROM runs r WHERE id != ? AND EXISTS (SELECT 1 FROM predictions p WHERE p.run = r.id AND p.id IN "
        "(SELECT value FROM json_each(?))) ORDER BY id DESC",
        (run, json.dumps(probes)),
    )
    return [row[0] for row in found]
