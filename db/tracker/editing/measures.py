"""What runs on this machine measured, written into the note's own rows on fine-tuning and export."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from db.connect import immediate
from db.tracker.editing.current import CurrentNote, current_note
from db.tracker.editing.store import make
from db.tracker.history import Entry, in_words, patches_detail, record
from db.tracker.markdown.source import Patch
from db.tracker.markdown.tables import Layout
from db.tracker.measured import Measured
from db.tracker.reading.document import RouteRow

_TIME = re.compile(r"\btrain\w*\s+time\b", re.IGNORECASE)
_SIZE = re.compile(r"\bsize\b|\bmobile\s+export\b", re.IGNORECASE)
_HERE = re.compile(r"(?:^|; )here: ")
"""Stands before it in a cell: what is measured anew takes its place, what a person wrote stays."""


def write_measured(conn: sqlite3.Connection, found: Mapping[str, Sequence[Measured]], who: str = "user") -> list[str]:
    """Write training times and export sizes in one transaction, as one entry of the history that one undo takes back.

    Args:
        found: What was measured of each model, newest first, by its exact name.

    Returns:
        One line a cell in words; empty where the note has no such row, or says it already.

    Raises:
        EditError: A cell could not be located; nothing was changed.
    """
    with immediate(conn):
        note = current_note(conn)
        patches: list[Patch] = []
        words: list[str] = []
        for name, row in _rows(conn, note, found):
            cells = _cells(row, found[name])
            if cells and row.table is not None and row.row is not None:
                at = [list(row.columns).index(title) for title in cells]
                layout = Layout(note.source.lines, row.table)
                patches += layout.write(row.row, dict(zip(at, cells.values(), strict=True)))
                words += [f"{name}: {title} {row.columns[title]} → {text}" for title, text in cells.items()]
        if patches:
            make(conn, note, patches, (), lambda models: True)
            record(conn, Entry("edit", who, in_words(words), patches_detail(patches), tuple(found), "measured"))
        return words


def _rows(conn: sqlite3.Connection, note: CurrentNote, names: Mapping[str, object]) -> Iterator[tuple[str, RouteRow]]:
    """The rows that speak of these models, in the order of the note."""
    lines: dict[int, str] = {}
    for kind, table in (("finetune", "finetune_rows"), ("export", "export_rows")):
        rows = conn.execute(
            f"SELECT row.line, name FROM mentions JOIN {table} AS row ON row.id = ref"
            " JOIN models ON models.id = model_id WHERE mentions.kind = ?",
            (kind,),
        )
        lines |= {row["line"] - 1: row["name"] for row in rows if row["name"] in names}
    for row in (*note.document.finetune, *note.document.exports):
        if row.line in lines:
            yield lines[row.line], row


def _cells(row: RouteRow, found: Sequence[Measured]) -> dict[str, str]:
    """The columns that gain something, with their whole text."""
    cells = {}
    for title, text in row.columns.items():
        wanted = _time(found) if _TIME.search(title) else _size(row, found) if _SIZE.search(title) else None
        before = _HERE.split(text)[0]
        fresh = f"{before}; here: {wanted}" if before.strip("- ") else f"here: {wanted}"
        if wanted and fresh != text:
            cells[title] = fresh
    return cells


def _time(found: Sequence[Measured]) -> str | None:
    return next((one.words for one in found if one.kind == "finetune"), None)


def _size(row: RouteRow, found: Sequence[Measured]) -> str | None:
    """Of the newest export, if there is one in the format that the row names, of that. A merged one is for no phone."""
    exports = [one.words for one in found if one.kind == "convert" and not one.words.startswith("merged")]
    said = " ".join(row.columns.values()).casefold()
    return next((words for words in exports if words.split()[0].rstrip(":") in said), exports[0] if exports else None)
