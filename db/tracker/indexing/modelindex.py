"""The table of models from the rows of a note: a model keeps its id, a row that says the same is left alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from db.tracker.indexing.renames import Seen, likely_renames
from db.tracker.reading.document import Document, ModelRow
from db.tracker.reading.values import parse_memory, parse_size

# One encoder for all rows: json.dumps with an option makes one a call.
_encode = json.JSONEncoder(ensure_ascii=False).encode
_quote = json.encoder.encode_basestring


_PLACE = ("section_id", "section", "table_id", "position", "line")
_CELLS = (
    "size",
    "size_b",
    "sizes_b",
    "variants",
    "vram",
    "vram_gb",
    "vrams_gb",
    "status",
    "notes",
    "columns",
    "family",
)
_COLUMNS = (*_PLACE, *_CELLS)
_Known = dict[str, tuple[Any, ...]]


@dataclass
class Difference:
    """What a note changed in the models: names, and for the changed ones in words what.

    ``renamed``: pairs of an absent and an added name that are likely one model (see ``renames``).
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)


def index_models(conn: sqlite3.Connection, document: Document, revision: int) -> Difference:
    """Make the table of models say what the note says; their scores are the caller's.

    Args:
        revision: The counter of topic ``tracker`` that the rows that change get.
    """
    known = _known(conn)
    gone = dict(known)
    difference = Difference()
    added: list[tuple[object, ...]] = []
    changed: list[tuple[object, ...]] = []
    for position, model in enumerate(document.models, start=1):
        values = model_values(model, document.sections[model.section].title, position)
        old = gone.pop(model.name, None)
        if old is None:
            difference.added.append(model.name)
            added.append((*values, revision, model.name))
        elif old != (*values, 0):
            changed.append((*values, revision, model.name))
            words = _changes(dict(zip((*_COLUMNS, "absent"), old, strict=True)), model, str(values[1]))
            if words:
                difference.changed.append(model.name)
                difference.details += [f"{model.name}: {word}" for word in words]
    marks = ", ".join("?" * (len(_COLUMNS) + 2))
    conn.executemany(f"INSERT INTO models({', '.join(_COLUMNS)}, revision, name) VALUES ({marks})", added)
    sets = ", ".join(f"{column} = ?" for column in _COLUMNS)
    conn.executemany(f"UPDATE models SET {sets}, revision = ?, absent = 0 WHERE name = ?", changed)
    difference.absent += [name for name, old in gone.items() if not old[-1]]
    conn.executemany(
        "UPDATE models SET absent = 1, section_id = NULL, table_id = NULL, revision = ? WHERE name = ?",
        [(revision, name) for name in difference.absent],
    )
    if difference.absent and difference.added:
        difference.renamed += likely_renames(_seen_before(known), _seen_now(document))
    return difference


def _known(conn: sqlite3.Connection) -> _Known:
    """Every model as it is stored: the values of ``_COLUMNS``, and whether it is absent."""
    cursor = conn.cursor()
    # Plain tuples: one comparison a row, and 100,000 rows.
    cursor.row_factory = None
    rows = cursor.execute(f"SELECT name, {', '.join(_COLUMNS)}, absent FROM models")
    return {row[0]: row[1:] for row in rows}


def _seen_before(known: _Known) -> list[Seen]:
    at, columns = _COLUMNS.index("position"), _COLUMNS.index("columns")
    standing = sorted(((old[at], name, old[columns]) for name, old in known.items() if not old[-1]), key=lambda s: s[0])
    return [Seen(name, dict(json.loads(str(texts)))) for _, name, texts in standing]


def _seen_now(document: Document) -> list[Seen]:
    return [Seen(model.name, model.columns) for model in document.models]


def model_values(model: ModelRow, section: str, position: int) -> tuple[object, ...]:
    """The columns of ``models`` from one row of the note, but for id, name, absent and revision.

    Args:
        section: The title of the section that it stands in.
        position: Its place among the models, from 1.
    """
    return (model.section + 1, section, model.table_index + 1, position, model.line + 1, *_cells(model))


def _cells(model: ModelRow) -> tuple[object, ...]:
    size = parse_size(model.size or "")
    vram = parse_memory(model.vram or "")
    return (
        model.size,
        size.value,
        _json_of(size.values),
        _json_of(size.variants),
        model.vram,
        vram.value,
        _json_of(vram.values),
        model.status,
        model.notes,
        # As _encode would write them, in a third of the time.
        "{" + ", ".join([f"{_quote(name)}: {_quote(text)}" for name, text in model.columns.items()]) + "}",
        model.family,
    )


@lru_cache(maxsize=4096)
def _json_of(values: tuple[float | str, ...]) -> str:
    return _encode(values)


def _changes(old: dict[str, object], model: ModelRow, section: str) -> list[str]:
    before: dict[str, str] = json.loads(str(old["columns"]))
    words = ["back in the note"] if old["absent"] else []
    if old["section"] != section:
        words.append(f"moved from {old['section']} to {section}")
    for column in dict.fromkeys([*before, *model.columns]):
        was, now = before.get(column, ""), model.columns.get(column, "")
        if was != now:
            words.append(f"{column}: {was or '(empty)'} → {now or '(empty)'}")
    return words


def insert_scores(conn: sqlite3.Connection, models: Iterable[tuple[int, ModelRow]]) -> None:
    """The scores that the rows state, with each model's id."""
    conn.executemany(
        "INSERT INTO document_scores(model_id, kind, metric, value, n, approximate, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (model_id, score.kind, score.metric, score.value, score.n, score.approximate, score.text)
            for model_id, model in models
            for score in model.scores
        ),
    )


def update_model_row(conn: sqlite3.Connection, model: ModelRow, model_id: int, revision: int) -> None:
    """Write one model's cells and stated scores anew, where its place in the note stands as it was.

    Args:
        model: The row as the note has it now. What says where it stands (section, table, line) is not looked at.
        revision: The counter of topic ``tracker`` that this change brings.
    """
    marks = ", ".join(f"{column} = ?" for column in _CELLS)
    conn.execute(
        f"UPDATE models SET {marks}, absent = 0, revision = ? WHERE id = ?", (*_cells(model), revision, model_id)
    )
    conn.execute("DELETE FROM document_scores WHERE model_id = ?", (model_id,))
    insert_scores(conn, [(model_id, model)])
