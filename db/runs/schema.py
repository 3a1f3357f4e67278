"""The index of runs. Everything here can be rebuilt from the run directories (`fada reindex`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from db.runs.curves import rebuild_buckets
from db.runs.telemetry import TABLES, fill_minutes
from db.versions import RUNS_VERSION

if TYPE_CHECKING:
    import sqlite_utils


class _Table(NamedTuple):
    name: str
    columns: str
    """``name:type`` words; i integer, r real, t text."""
    pk: tuple[str, ...]
    not_null: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()


_TYPES = {"i": int, "r": float, "t": str}

_FIRST = (
    _Table("changes", "topic:t counter:i", ("topic",), ("counter",)),
    _Table(
        "runs",
        "id:i kind:t task:t model:t state:t reason:t exit_code:i signal:i attempt:i created:r started:r ended:r "
        "done:i total:i unit:t phase:t rate:r mark_time:r mark_done:i reserved_bytes:i peak_bytes:i fingerprint:t "
        "position:r exclusive:i from_run:i device:t summary:t spec:t",
        ("id",),
        ("kind", "model", "state", "attempt", "created", "position", "spec"),
        (("state",), ("model",)),
    ),
    _Table("dependencies", "run:i parent:i any_end:i", ("run", "parent"), ("any_end",)),
    _Table("offsets", "run:i file:t offset:i", ("run", "file"), ("offset",)),
    _Table("metrics", "run:i name:t step:i value:r t:r", ("run", "name", "step")),
    _Table("messages", "id:i run:i t:r level:t text:t", ("id",), indexes=(("run",),)),
    _Table("checkpoints", "run:i step:i path:t", ("run", "step")),
    _Table(
        "predictions",
        "run:i id:t position:i image_path:t category:t question:t prediction:t reference:t latency_s:r "
        "output_tokens:i error:t",
        ("run", "id"),
        indexes=(("run", "position"),),
    ),
    _Table("scores", "id:i run:i metric:t question:t category:t partial:i step:i body:t", ("id",), indexes=(("run",),)),
    _Table("samples", "t:r body:t", ("t",)),
)


def _first(db: sqlite_utils.Database) -> None:
    for table in _FIRST:
        columns = dict(word.split(":") for word in table.columns.split())
        made = db.table(table.name).create(
            {name: _TYPES[kind] for name, kind in columns.items()},
            pk=table.pk if len(table.pk) > 1 else table.pk[0],
            not_null=table.not_null,
        )
        for index in table.indexes:
            made.create_index(list(index))


# Raw SQL: sqlite_utils makes no WITHOUT ROWID tables, and these are read by ranges of their key.
_CURVES = (
    "CREATE TABLE curves(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, name TEXT NOT NULL, lines INTEGER NOT NULL, "
    "levels INTEGER NOT NULL, UNIQUE(run, name))",
    "CREATE TABLE metrics(curve INTEGER NOT NULL, step INTEGER NOT NULL, value REAL, t REAL, "
    "PRIMARY KEY(curve, step)) WITHOUT ROWID",
    "CREATE TABLE metric_buckets(curve INTEGER NOT NULL, level INTEGER NOT NULL, bucket INTEGER NOT NULL, "
    "n INTEGER NOT NULL, total REAL NOT NULL, low REAL, high REAL, last INTEGER, t REAL, "
    "PRIMARY KEY(curve, level, bucket)) WITHOUT ROWID",
)


def _curves_and_labels(db: sqlite_utils.Database) -> None:
    """Points in buckets; tags, note and archived; what a tick has to look at besides the runs that are not over."""
    conn = db.conn
    for column in ("tags TEXT", "note TEXT", "archived INTEGER NOT NULL DEFAULT 0"):
        conn.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    conn.execute("CREATE INDEX dependencies_parent ON dependencies(parent)")
    conn.execute("CREATE TABLE due(run INTEGER PRIMARY KEY)")
    conn.execute("CREATE TABLE scanned(folder TEXT PRIMARY KEY, mtime_ns INTEGER NOT NULL)")
    conn.execute("ALTER TABLE metrics RENAME TO plain_metrics")
    for statement in _CURVES:
        conn.execute(statement)
    conn.execute(
        "INSERT INTO curves(run, name, lines, levels) SELECT run, name, count(*), 0 FROM plain_metrics GROUP BY 1, 2"
    )
    conn.execute(
        "INSERT INTO metrics SELECT c.id, m.step, m.value, m.t FROM curves c JOIN plain_metrics m "
        "ON m.run = c.run AND m.name = c.name ORDER BY 1, 2"
    )
    conn.execute("DROP TABLE plain_metrics")
    rebuild_buckets(conn)


_ANSWERS = (
    "CREATE TABLE predictions(run INTEGER NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, image_path TEXT, "
    "category TEXT, question TEXT, prediction TEXT, reference TEXT, latency_s REAL, output_tokens INTEGER, error TEXT, "
    "topic TEXT, verdict INTEGER, score REAL, vals TEXT, PRIMARY KEY(run, id))",
    "CREATE INDEX predictions_place ON predictions(run, position)",
    "CREATE INDEX predictions_verdict ON predictions(run, verdict, position)",
    "CREATE INDEX predictions_groups ON predictions(run, topic, category, position)",
    "CREATE INDEX predictions_failed ON predictions(run, position) WHERE error IS NOT NULL",
    "CREATE INDEX predictions_score ON predictions(run, score, position)",
)


def _samples(db: sqlite_utils.Database) -> None:
    """Answers with topic, verdict and values. They are read again from the run directories, by the next tick."""
    conn = db.conn
    conn.execute("DROP TABLE predictions")
    for statement in _ANSWERS:
        conn.execute(statement)
    conn.execute("DELETE FROM offsets WHERE file = 'predictions.jsonl'")
    conn.execute("INSERT OR IGNORE INTO due(run) SELECT id FROM runs")


def _minutes(db: sqlite_utils.Database) -> None:
    """Telemetry by the minute, and the driver's errors."""
    for statement in TABLES:
        db.conn.execute(statement)
    fill_minutes(db.conn)


def _engines(db: sqlite_utils.Database) -> None:
    """Which engine runs it; and the time of its directory when nothing more was to be read there."""
    db.conn.execute("ALTER TABLE runs ADD COLUMN engine TEXT")
    db.conn.execute("ALTER TABLE runs ADD COLUMN settled INTEGER")


MIGRATIONS = [_first, _curves_and_labels, _samples, _minutes, _engines]
assert len(MIGRATIONS) == RUNS_VERSION
