"""The current note as an edit finds it, inside the edit's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cached_property

from db.tracker.errors import EditError
from db.tracker.markdown.source import Source
from db.tracker.reading.document import Document
from db.tracker.reading.recognise import read_document


@dataclass(frozen=True)
class CurrentNote:
    """``id`` is the note's row in ``notes``."""

    id: int
    source: Source

    @cached_property
    def document(self) -> Document:
        """The whole note, read when somebody asks: for a long one that takes seconds."""
        return read_document(self.source)


def current_note(conn: sqlite3.Connection) -> CurrentNote:
    """The note that the tables are an index of.

    Raises:
        EditError: There is none.
    """
    row = conn.execute("SELECT id, name, body FROM notes WHERE is_current").fetchone()
    if row is None:
        raise EditError("there is no note yet", "import one with `fada import FILE.md`")
    return CurrentNote(row["id"], Source.decode(bytes(row["body"]), row["name"]))
