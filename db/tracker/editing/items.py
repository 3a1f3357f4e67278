"""Ticking and clearing check boxes, any number of them as one change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import replace

from db.connect import immediate
from db.tracker.editing.current import CurrentNote, current_note
from db.tracker.editing.store import make
from db.tracker.errors import EditError
from db.tracker.history import Entry, in_words, patches_detail, record
from db.tracker.indexing.parts import read_box
from db.tracker.markdown.source import Patch
from db.tracker.reading.document import ItemRow


def set_items(conn: sqlite3.Connection, numbers: Iterable[int], done: bool, who: str = "user") -> list[str]:
    """Tick or clear numbered check boxes in one transaction, as one entry of the history.

    Returns:
        One line a box that changed; empty where all are as wanted.

    Raises:
        EditError: The note has no such item; nothing was changed.
    """
    numbers = list(dict.fromkeys(numbers))
    with immediate(conn):
        note = current_note(conn)
        items = [item for item in _items(conn, note, numbers) if item.done != done]
        if not items:
            return []
        patches = [_patch(note, item, done) for item in items]
        words = [f"item {item.number} {'done' if done else 'not done'}: {item.text}" for item in items]
        make(conn, note, patches, (), lambda models: True)
        models = _spoken_of(conn, [item.number for item in items])
        record(conn, Entry("edit", who, in_words(words), patches_detail(patches), models, "items"))
        return words


def _items(conn: sqlite3.Connection, note: CurrentNote, numbers: Collection[int]) -> list[ItemRow]:
    """The boxes in the order asked for: each read by itself where that is possible, else from the whole note."""
    lines = {row["number"]: row["line"] - 1 for row in conn.execute("SELECT number, line FROM items")}
    for number in numbers:
        if number not in lines:
            span = f"the items are {min(lines)} to {max(lines)}" if lines else "the note has no checklist"
            raise EditError(f"no item {number}", f"{span}; see `fada items`")
    items = []
    for number in numbers:
        box = read_box(note.source.lines[lines[number]])
        if box is not None:
            items.append(replace(box, number=number, line=lines[number]))
        else:
            items.append(next(item for item in note.document.items if item.number == number))
    return items


def _patch(note: CurrentNote, item: ItemRow, done: bool) -> Patch:
    if item.mark is None:
        raise EditError(
            f"the box of item {item.number} (line {item.line + 1}) could not be located", "edit the note by hand"
        )
    return Patch(item.line, item.mark, note.source.lines[item.line][item.mark], "x" if done else " ")


def _spoken_of(conn: sqlite3.Connection, numbers: Collection[int]) -> tuple[str, ...]:
    rows = conn.execute(
        "SELECT DISTINCT name FROM mentions JOIN models ON models.id = model_id"
        " WHERE kind = 'item' AND ref IN (SELECT value FROM json_each(?)) ORDER BY position",
        (json.dumps(list(numbers)),),
    )
    return tuple(row["name"] for row in rows)
