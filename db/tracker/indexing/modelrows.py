"""Rows of the table ``models`` as :class:`~db.tracker.rows.Model`, with their stated scores and aliases."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from db.tracker.rows import DocumentScore, Model

# In the order of the fields of Model, with section_id in front; scores and aliases come from their own tables.
_COLUMNS = (
    "section_id, id, name, section, position, size, size_b, vram, vram_gb, status, notes, columns, absent, sizes_b,"
    " variants, vrams_gb, line, family"
)
Found = tuple[int | None, Model]
"""A model with the id of its section; None for one that the note no longer has."""


def read_models(conn: sqlite3.Connection, where: str = "", values: Sequence[object] = ()) -> list[Found]:
    """The models that a condition on the columns of ``models`` picks: those in the note in its order, then the absent.

    Args:
        where: ``WHERE`` and a condition with question marks, or nothing for all of them.
    """
    cursor = conn.cursor()
    # Plain tuples: a row by name takes longer to read than to make a model of.
    cursor.row_factory = None
    rows = cursor.execute(f"SELECT {_COLUMNS} FROM models {where}", values).fetchall()
    # Here and not in SQLite, which would move whole rows about: they stand in this order already, but for a few.
    rows.sort(key=lambda row: (row[12], row[4]))
    scores = _scores(cursor, where, values)
    aliases: dict[str, tuple[str, ...]] = {}
    for alias, model in cursor.execute("SELECT alias, model FROM aliases ORDER BY time, alias"):
        aliases[model] = (*aliases.get(model, ()), alias)
    return [(row[0], _model(row, scores, aliases)) for row in rows]


def models_named(conn: sqlite3.Connection, names: Iterable[str]) -> list[Model]:
    """Those of the names that are models, in the order of the note."""
    names = list(names)
    if not names:
        return []
    return [model for _, model in read_models(conn, f"WHERE name IN ({','.join('?' * len(names))})", names)]


def _scores(cursor: sqlite3.Cursor, where: str, values: Sequence[object]) -> dict[int, tuple[DocumentScore, ...]]:
    scores: dict[int, list[DocumentScore]] = defaultdict(list)
    chosen = f"WHERE model_id IN (SELECT id FROM models {where})" if where else ""
    for model_id, kind, metric, value, n, approximate, text in cursor.execute(
        f"SELECT model_id, kind, metric, value, n, approximate, text FROM document_scores {chosen} ORDER BY id", values
    ):
        scores[model_id].append(DocumentScore(kind, metric, value, n, bool(approximate), text))
    return {model_id: tuple(found) for model_id, found in scores.items()}


def _model(
    row: tuple[Any, ...], scores: dict[int, tuple[DocumentScore, ...]], aliases: dict[str, tuple[str, ...]]
) -> Model:
    _, model_id, name, section, position, size, size_b, vram, vram_gb, status, notes, columns, *others = row
    absent, sizes_b, variants, vrams_gb, line, family = others
    return Model(
        model_id,
        name,
        section,
        position,
        size,
        size_b,
        vram,
        vram_gb,
        status,
        notes,
        columns,
        scores=scores.get(model_id, ()),
        aliases=aliases.get(name, ()),
        absent=bool(absent),
        sizes_b=stored_tuple(sizes_b),
        variants=stored_tuple(variants),
        vrams_gb=stored_tuple(vrams_gb),
        line=line,
        family=family,
    )


@lru_cache(maxsize=4096)
def stored_tuple(text: str) -> tuple[Any, ...]:
    """A stored list of numbers or words; of 100,000 sizes few differ."""
    return tuple(json.loads(text))
