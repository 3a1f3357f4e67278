"""The index of runs. Everything here can be rebuilt from the run directories (`fada reindex`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


MIGRATIONS = [_first]
