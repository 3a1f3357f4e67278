"""A tracker note into fada.db: the bytes whole, the tables beside them, in one transaction."""

from __future__ import annotations

import json
import shlex
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from db.connect import connect, immediate
from db.home import Home
from db.tracker.disk.files import is_stream, path_key
from db.tracker.errors import NoteError
from db.tracker.export import export_note
from db.tracker.indexing.index import Difference, reindex
from db.tracker.markdown.source import Source
from db.tracker.reading.contents import contents
from db.tracker.reading.document import Document, Warning
from db.tracker.reading.recognise import read_document

DEFAULT_NAME = "fada-v3.md"


@dataclass(frozen=True)
class ImportResult:
    """Counts of what the note has, and what it changed against the note before. Names, but for ``details`` (words).

    ``renamed``: pairs of an absent and an added name that are likely one model; each has its warning too.
    """

    models: int
    sections: int
    items: int
    warnings: tuple[Warning, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    absent: tuple[str, ...]
    details: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()
    contents: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What else was read; see :func:`~db.tracker.reading.contents.contents`."""
    untouched: bool = False
    """Whether what it replaced was the shipped note as it came: nothing that anybody wrote is gone."""


def default_note() -> bytes:
    """The note that ships with the package."""
    return files("db.note").joinpath("default.md").read_bytes()


def import_default(home: Home) -> None:
    """Import the shipped note where fada.db has none; otherwise do nothing. Safe from several processes at once."""
    conn = connect(home.fada_db)
    try:
        if _has_note(conn):
            return
        data = default_note()
        document = read_note(data, DEFAULT_NAME)
        with immediate(conn):
            if not _has_note(conn):
                store_note(conn, data, document, DEFAULT_NAME, "fada")
    finally:
        conn.close()


def import_note(
    conn: sqlite3.Connection, text_bytes: bytes, name: str, who: str, path: Path | None = None
) -> ImportResult:
    """Replace the current note. Models that it no longer has are kept and marked absent.

    Args:
        text_bytes: The file's exact bytes.
        name: The file's name, for messages and the history.
        who: Who imports it, for the history.
        path: The file that the bytes came from, which the note is then kept in step with.

    Raises:
        NoteError: Not UTF-8, empty, or no model table; the database is as it was.
    """
    document = read_note(text_bytes, name)
    if path is not None and is_stream(path):
        # A pipe has nothing to be kept in step with.
        path = None
    with immediate(conn):
        untouched = export_note(conn) == default_note()
        difference = store_note(conn, text_bytes, document, name, who, path=path)
        rows = conn.execute("SELECT line, text FROM import_warnings ORDER BY line, link, id").fetchall()
    warnings = [Warning(row["line"], row["text"]) for row in rows]
    return ImportResult(
        len(document.models),
        len(document.sections),
        len(document.items),
        (*warnings, *_rename_warnings(document, difference)),
        tuple(difference.added),
        tuple(difference.changed),
        tuple(difference.absent),
        tuple(difference.details),
        tuple(difference.renamed),
        contents(document),
        untouched,
    )


def _rename_warnings(document: Document, difference: Difference) -> list[Warning]:
    lines = {model.name: model.line for model in document.models} if difference.renamed else {}
    return [
        Warning(
            lines[new] + 1,
            f"{old} is gone and {new} is new with the same row or place: if it was renamed,"
            f" `fada alias {shlex.quote(new)} {shlex.quote(old)}` keeps its runs and scores together",
        )
        for old, new in difference.renamed
    ]


def _has_note(conn: sqlite3.Connection) -> bool:
    return conn.execute("SELECT 1 FROM notes LIMIT 1").fetchone() is not None


def read_note(data: bytes, name: str) -> Document:
    """What the bytes of a tracker note say.

    Raises:
        NoteError: Not UTF-8, empty, or no model table.
    """
    source = Source.decode(data, name)
    if not source.text.strip():
        raise NoteError("the file is empty", f"{name}:1", "give a tracker note with at least one model table")
    document = read_document(source)
    if not document.models:
        if document.tables:
            line = document.tables[0].table.line + 1
            raise NoteError("no model table has a row that names a model", f"{name}:{line}", "nothing was imported")
        raise NoteError(
            "no model table found", f"{name}:1", "a model table has a column called Model; nothing was imported"
        )
    return document


def store_note(
    conn: sqlite3.Connection,
    data: bytes,
    document: Document,
    name: str,
    who: str,
    *,
    path: Path | None = None,
    kind_text: str | None = None,
) -> Difference:
    """Make a note the current one, with a history entry that undo takes back, inside the caller's transaction.

    Args:
        document: What :func:`read_note` made of ``data``.
        path: The file that holds exactly these bytes: it and the database agree on them.
        kind_text: What the history says instead of ``imported NAME``.
    """
    now = time.time()
    key = path_key(path) if path is not None else None
    before = conn.execute("SELECT id FROM notes WHERE is_current").fetchone()
    conn.execute("UPDATE notes SET is_current = 0 WHERE is_current")
    note = conn.execute(
        "INSERT INTO notes(name, imported, who, body, is_current, path) VALUES (?, ?, ?, ?, 1, ?)",
        (name, now, who, data, key),
    ).lastrowid
    if key is not None:
        conn.execute(
            "INSERT OR REPLACE INTO synced(path, note_id, base, t) VALUES (?, ?, ?, ?)", (key, note, data, now)
        )
    difference = reindex(conn, document)
    detail = {"note": note, "before": before["id"] if before else None, "added": difference.added}
    conn.execute("UPDATE history SET redoable = 0 WHERE redoable")
    text = _in_words(kind_text or f"imported {name}", document, difference, first=before is None)
    conn.execute(
        "INSERT INTO history(time, who, kind, text, detail) VALUES (?, ?, 'import', ?, ?)",
        (now, who, text, json.dumps(detail)),
    )
    return difference


def _in_words(done: str, document: Document, difference: Difference, *, first: bool) -> str:
    text = f"{done}: {len(document.models)} models, {len(document.items)} items"
    if first:
        return text
    counts = [
        f"{len(names)} {word}"
        for word, names in (
            ("added", difference.added),
            ("changed", difference.changed),
            ("absent", difference.absent),
        )
        if names
    ]
    return f"{text}; {', '.join(counts) or 'no model changed'}"
