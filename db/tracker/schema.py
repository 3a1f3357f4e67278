"""The schema of fada.db: the note whole, and an index of what it says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from db.versions import TRACKER_VERSION

if TYPE_CHECKING:
    import sqlite_utils

# notes.body is the truth: everything from `sections` to `import_warnings` is rebuilt from it after each edit, except
# that `models` keeps the ids and the rows that the note no longer has. Aliases and history are the user's own.
_FIRST = (
    "CREATE TABLE changes(topic TEXT PRIMARY KEY, counter INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE notes(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, imported REAL NOT NULL, who TEXT NOT NULL,
        original BLOB NOT NULL, body BLOB NOT NULL, is_current INTEGER NOT NULL DEFAULT 0)""",
    "CREATE TABLE front_matter(position INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT NOT NULL)",
    """CREATE TABLE sections(
        id INTEGER PRIMARY KEY, title TEXT NOT NULL, path TEXT NOT NULL, depth INTEGER NOT NULL,
        line INTEGER NOT NULL)""",
    """CREATE TABLE models(
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
        section_id INTEGER, section TEXT NOT NULL, position INTEGER NOT NULL, line INTEGER NOT NULL,
        size TEXT, size_b REAL, sizes_b TEXT NOT NULL, variants TEXT NOT NULL,
        vram TEXT, vram_gb REAL, vrams_gb TEXT NOT NULL,
        status TEXT NOT NULL, notes TEXT, columns TEXT NOT NULL, absent INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE document_scores(
        id INTEGER PRIMARY KEY, model_id INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        kind TEXT NOT NULL, metric TEXT NOT NULL, value REAL NOT NULL, n INTEGER,
        approximate INTEGER NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL DEFAULT 'document')""",
    "CREATE INDEX document_scores_model ON document_scores(model_id)",
    """CREATE TABLE aliases(
        alias TEXT NOT NULL PRIMARY KEY, model TEXT NOT NULL, who TEXT NOT NULL, time REAL NOT NULL)""",
    "CREATE TABLE phases(id INTEGER PRIMARY KEY, title TEXT NOT NULL, line INTEGER NOT NULL)",
    """CREATE TABLE items(
        number INTEGER PRIMARY KEY, phase_id INTEGER NOT NULL REFERENCES phases, text TEXT NOT NULL,
        done INTEGER NOT NULL, line INTEGER NOT NULL, position INTEGER NOT NULL)""",
    """CREATE TABLE papers(
        id INTEGER PRIMARY KEY, list TEXT NOT NULL, number INTEGER, title TEXT NOT NULL, text TEXT NOT NULL,
        line INTEGER NOT NULL)""",
    """CREATE TABLE benchmarks(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, heading TEXT NOT NULL, description TEXT, line INTEGER NOT NULL)""",
    """CREATE TABLE benchmark_facts(
        id INTEGER PRIMARY KEY, benchmark_id INTEGER NOT NULL REFERENCES benchmarks, aspect TEXT NOT NULL,
        details TEXT NOT NULL, line INTEGER NOT NULL)""",
    """CREATE TABLE benchmark_tasks(
        id INTEGER PRIMARY KEY, benchmark_id INTEGER NOT NULL REFERENCES benchmarks, number INTEGER NOT NULL,
        name TEXT NOT NULL, abbreviation TEXT, description TEXT, line INTEGER NOT NULL)""",
    """CREATE TABLE finetune_rows(
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, heading TEXT NOT NULL, model TEXT NOT NULL, columns TEXT NOT NULL,
        line INTEGER NOT NULL)""",
    """CREATE TABLE export_rows(
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, heading TEXT NOT NULL, model TEXT NOT NULL, columns TEXT NOT NULL,
        line INTEGER NOT NULL)""",
    "CREATE TABLE pipelines(id INTEGER PRIMARY KEY, heading TEXT NOT NULL, text TEXT NOT NULL, line INTEGER NOT NULL)",
    """CREATE TABLE summary_cells(
        id INTEGER PRIMARY KEY, heading TEXT NOT NULL, row TEXT NOT NULL, column TEXT NOT NULL, stated TEXT NOT NULL,
        line INTEGER NOT NULL)""",
    """CREATE TABLE mentions(
        kind TEXT NOT NULL, ref INTEGER NOT NULL, model_id INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        PRIMARY KEY(kind, ref, model_id)) WITHOUT ROWID""",
    "CREATE INDEX mentions_model ON mentions(model_id)",
    "CREATE TABLE import_warnings(id INTEGER PRIMARY KEY, line INTEGER NOT NULL, text TEXT NOT NULL)",
    # redoable goes to 0 when a new edit follows an undo: the branch is history, no longer a future.
    """CREATE TABLE history(
        id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, who TEXT NOT NULL, kind TEXT NOT NULL,
        text TEXT NOT NULL, detail TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0,
        redoable INTEGER NOT NULL DEFAULT 0)""",
    # What an export last put at a resolved path: a file that still holds it may be replaced.
    "CREATE TABLE written(path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, t REAL NOT NULL) WITHOUT ROWID",
)


def first(database: sqlite_utils.Database) -> None:
    """Every table, inside the caller's transaction."""
    for statement in _FIRST:
        database.conn.execute(statement)


# revision: the counter of topic `tracker` when the row last changed, so that a reader takes only what is new to it.
# A table's lines are 0-based; a nested one stands in a list or a quotation and is edited by reading the whole note.
_SECOND = (
    """CREATE TABLE model_tables(
        id INTEGER PRIMARY KEY, section_id INTEGER NOT NULL, header_line INTEGER NOT NULL, last_line INTEGER NOT NULL,
        nested INTEGER NOT NULL)""",
    "ALTER TABLE models ADD COLUMN table_id INTEGER",
    "ALTER TABLE models ADD COLUMN family TEXT",
    "ALTER TABLE models ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX models_revision ON models(revision)",
    # 1: of a link that is unclear, which depends on every model; 0: of what one line says.
    "ALTER TABLE import_warnings ADD COLUMN link INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE notes ADD COLUMN path TEXT",
    # What a file and the database last agreed on: the base of a three-way merge.
    """CREATE TABLE synced(
        path TEXT PRIMARY KEY, note_id INTEGER NOT NULL REFERENCES notes, base BLOB NOT NULL, t REAL NOT NULL)
        WITHOUT ROWID""",
)


def second(database: sqlite_utils.Database) -> None:
    """Tables of models, families, revisions; the files that the note is kept in step with."""
    for statement in _SECOND:
        database.conn.execute(statement)


# An edit writes the note's row anew, and the bytes as imported beside the body would double that: they have a table of
# their own, with a row for the notes that were edited.
_THIRD = (
    "CREATE TABLE originals(note_id INTEGER PRIMARY KEY REFERENCES notes, data BLOB NOT NULL)",
    "INSERT INTO originals(note_id, data) SELECT id, original FROM notes WHERE original != body",
    "ALTER TABLE notes DROP COLUMN original",
)


def third(database: sqlite_utils.Database) -> None:
    """The notes as they were imported, apart from what edits made of them."""
    for statement in _THIRD:
        database.conn.execute(statement)


def refresh(conn: sqlite3.Connection) -> None:
    """Fill the tables from the current note, inside the caller's transaction: new columns are empty at first."""
    from db.tracker.indexing.index import reindex
    from db.tracker.markdown.source import Source
    from db.tracker.reading.recognise import read_document

    row = conn.execute("SELECT name, body FROM notes WHERE is_current").fetchone()
    if row is not None:
        reindex(conn, read_document(Source.decode(bytes(row["body"]), row["name"])))


MIGRATIONS: list[Callable[[sqlite_utils.Database], None]] = [first, second, third]
assert len(MIGRATIONS) == TRACKER_VERSION
