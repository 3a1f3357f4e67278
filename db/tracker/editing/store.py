"""Patches become the note's text and its tables: by the short way where single rows changed, else read whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from db.tracker.editing.current import CurrentNote
from db.tracker.errors import EditError
from db.tracker.indexing.index import reindex
from db.tracker.indexing.rowpatch import Check, patched, update_rows
from db.tracker.markdown.source import Patch, Source
from db.tracker.reading.document import Document
from db.tracker.reading.recognise import read_document


def make(
    conn: sqlite3.Connection,
    note: CurrentNote,
    patches: Sequence[Patch],
    names: Iterable[str],
    check: Check,
    added: str | None = None,
) -> None:
    """Make an edit, inside the caller's transaction.

    Args:
        names: The models whose rows are patched.
        check: What must be true of the models, those that were touched at least, by name.
        added: The one model that the edit brings into the note.

    Raises:
        EditError: The text would not read back as this edit; the caller's transaction must be rolled back.
    """
    after = patched(note.source, patches)
    _write(conn, note, after)
    if added is None and update_rows(conn, note.source, after, patches, names, check):
        return
    document = read_document(after)
    if not (_same_models(conn, document, added) and check({model.name: model for model in document.models})):
        raise EditError("the text would break the table it stands in", "edit the note by hand and import it")
    reindex(conn, document)


def put_back(conn: sqlite3.Connection, note: CurrentNote, patches: Sequence[Patch], names: Iterable[str]) -> None:
    """Make patches that led from one state of the note to another, inside the caller's transaction.

    Args:
        names: The models whose rows may be patched.

    Raises:
        ValueError: A patch does not find what it should replace.
    """
    after = patched(note.source, patches)
    _write(conn, note, after)
    if not update_rows(conn, note.source, after, patches, names, lambda models: True):
        reindex(conn, read_document(after))


def _write(conn: sqlite3.Connection, note: CurrentNote, source: Source) -> None:
    conn.execute(
        "INSERT INTO originals(note_id, data) SELECT id, body FROM notes"
        " WHERE id = ? AND NOT EXISTS (SELECT 1 FROM originals WHERE note_id = notes.id)",
        (note.id,),
    )
    conn.execute("UPDATE notes SET body = ? WHERE id = ?", (source.encode(), note.id))


def _same_models(conn: sqlite3.Connection, document: Document, added: str | None) -> bool:
    before = [row["name"] for row in conn.execute("SELECT name FROM models WHERE NOT absent ORDER BY position")]
    after = [model.name for model in document.models]
    return before == [name for name in after if name != added] and (added is None or added in after)
