"""A tracker note into fada.db: the bytes whole, the tables beside them, in one transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from importlib.resources import files

from db.connect import bump, connect, immediate
from db.home import Home
from db.tracker.document import Document, Warning
from db.tracker.errors import NoteError
from db.tracker.index import Difference, reindex
from db.tracker.recognise import read_document
from db.tracker.source import Source

DEFAULT_NAME = "fada-v3.md"


@dataclass(frozen=True)
class ImportResult:
    """Counts of what the note has, and what it changed against the note before. Names, but for ``details`` (words)."""

    models: int
    sections: int
    items: int
    warnings: tuple[Warning, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    absent: tuple[str, ...]
    details: tuple[str, ...]


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
        document = _document(data, DEFAULT_NAME)
        with immediate(conn):
            if not _has_note(conn):
                _store(conn, data, document, DEFAULT_NAME, "fada")
    finally:
        conn.close()


def import_note(conn: sqlite3.Connection, text_bytes: bytes, name: str, who: str) -> ImportResult:
    """Replace the current note. Models that it no longer has are kept and marked absent.

    Args:
        text_bytes: The file's exact bytes.
        name: The file's name, for messages and the history.
        who: Who imports it, for the history.

    Raises:
        NoteError: Not UTF-8, empty, or no model table; the database is as it was.
    """
    document = _document(text_bytes, name)
    with immediate(conn):
        difference = _store(conn, text_bytes, document, name, who)
        rows = conn.execute("SELECT line, text FROM import_warnings ORDER BY id").fetchall()
    return ImportResult(
        len(document.models),
        len(document.sections),
        len(document.items),
        tuple(Warning(row["line"], row["text"]) for row in rows),
        tuple(difference.added),
        tuple(difference.changed),
        tuple(difference.absent),
        tuple(difference.details),
    )


def _has_note(conn: sqlite3.Connection) -> bool:
    return conn.execute("SELECT 1 FROM notes LIMIT 1").fetchone() is not None


def _document(data: bytes, name: str) -> Document:
    source = Source.decode(data, name)
    if not source.text.strip():
        raise NoteError("the file is empty", f"{name}:1", "give a tracker note with at least one model table")
    document = read_document(source)
    if not document.models:
        raise NoteError(
            "no model table found", f"{name}:1", "a model table has a column called Model; nothing was imported"
        )
    return document


def _store(conn: sqlite3.Connection, data: bytes, document: Document, name: str, who: str) -> Difference:
    now = time.time()
    before = conn.execute("SELECT id FROM notes WHERE is_current").fetchone()
    conn.execute("UPDATE notes SET is_current = 0")
    note = conn.execute(
        "INSERT INTO notes(name, imported, who, original, body, is_current) VALUES (?, ?, ?, ?, ?, 1)",
        (name, now, who, data, data),
    ).lastrowid
    difference = reindex(conn, document)
    detail = {"note": note, "before": before["id"] if before else None, "added": difference.added}
    conn.execute("UPDATE history SET redoable = 0")
    conn.execute(
        "INSERT INTO history(time, who, kind, text, detail) VALUES (?, ?, 'import', ?, ?)",
        (now, who, _in_words(name, document, difference, first=before is None), json.dumps(detail)),
    )
    bump(conn, "tracker")
    return difference


def _in_words(name: str, document: Document, difference: Difference, *, first: bool) -> str:
    text = f"imported {name}: {len(document.models)} models, {len(document.items)} items"
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
