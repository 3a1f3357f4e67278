"""Editing the tracker: each edit is a patch on the note's text, the tables, the history and the counter at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from db.connect import bump, immediate
from db.tracker.document import Document, ItemRow, ModelRow
from db.tracker.errors import EditError
from db.tracker.history import Entry, record, redo_last, undo_last
from db.tracker.index import reindex
from db.tracker.queries import find_models, nearest_names
from db.tracker.recognise import read_document
from db.tracker.rows import STATUS_LADDER
from db.tracker.source import Patch, Source
from db.tracker.tables import add_column, cell_patch
from db.tracker.values import ladder_status


@dataclass(frozen=True)
class _Open:
    """The current note as an edit finds it, inside the edit's transaction."""

    note: int
    source: Source
    document: Document


def set_item(conn: sqlite3.Connection, number: int, done: bool, who: str = "user") -> list[str]:
    """Tick or clear one numbered check box.

    Returns:
        What changed in words; empty where the box already is as wanted.

    Raises:
        EditError: The note has no such item.
    """
    with immediate(conn):
        opened = _open(conn)
        item = _item(opened.document, number)
        if item.done == done:
            return []
        assert item.mark is not None
        mark = opened.source.lines[item.line][item.mark]
        text = f"item {number} {'done' if done else 'not done'}: {item.text}"
        return _make(conn, opened, [Patch(item.line, item.mark, mark, "x" if done else " ")], who, text)


def set_status(conn: sqlite3.Connection, model_name: str, status: str, who: str = "user") -> list[str]:
    """Move a model to a step of the ladder, or to another status that the note already uses.

    Raises:
        EditError: No such model or status, or the row cannot be edited.
    """
    with immediate(conn):
        opened = _open(conn)
        wanted = _status(opened.document, status)
        row = _model(conn, opened.document, model_name)
        return _set_cell(conn, opened, row, "status", wanted, who)


def set_note(conn: sqlite3.Connection, model_name: str, text: str, who: str = "user") -> list[str]:
    """Write the Notes cell of a model; a table without that column gets it.

    Raises:
        EditError: No such model, a text of several lines, or the row cannot be edited.
    """
    with immediate(conn):
        opened = _open(conn)
        row = _model(conn, opened.document, model_name)
        return _set_cell(conn, opened, row, "notes", _one_line(text), who)


def add_alias(conn: sqlite3.Connection, model_name: str, alias: str, who: str = "user") -> list[str]:
    """Give a model another name; items and tables of the note that use it are tied to the model.

    Raises:
        EditError: No such model, or the alias already means another model.
    """
    alias = _one_line(alias)
    if not alias:
        raise EditError("an alias needs a name", "fada alias MODEL NAME")
    with immediate(conn):
        opened = _open(conn)
        row = _model(conn, opened.document, model_name)
        taken = [model.name for model in find_models(conn, alias)]
        if (
            alias == row.name
            or conn.execute("SELECT 1 FROM aliases WHERE alias = ? AND model = ?", (alias, row.name)).fetchone()
        ):
            return []
        if any(name != row.name for name in taken):
            raise EditError(f"{alias!r} already means {' and '.join(taken)}", "choose another name")
        conn.execute(
            "INSERT OR REPLACE INTO aliases(alias, model, who, time) VALUES (?, ?, ?, ?)",
            (alias, row.name, who, time.time()),
        )
        reindex(conn, opened.document)
        text = f"{row.name}: also called {alias}"
        record(conn, Entry("alias", who, text, {"alias": alias, "model": row.name, "who": who}))
        bump(conn, "tracker")
        return [text]


def undo(conn: sqlite3.Connection, who: str = "user") -> list[str]:
    """Take back the latest change that stands (an edit, an alias or an import); empty where there is none."""
    with immediate(conn):
        words = undo_last(conn)
        return _after_history(conn, words)


def redo(conn: sqlite3.Connection, who: str = "user") -> list[str]:
    """Make the change that was taken back last once more; empty where there is none, or an edit came since."""
    with immediate(conn):
        words = redo_last(conn)
        return _after_history(conn, words)


def _after_history(conn: sqlite3.Connection, words: list[str]) -> list[str]:
    if words:
        bump(conn, "tracker")
    return words


def _open(conn: sqlite3.Connection) -> _Open:
    row = conn.execute("SELECT id, name, body FROM notes WHERE is_current").fetchone()
    if row is None:
        raise EditError("there is no note yet", "import one with `fada import FILE.md`")
    source = Source.decode(bytes(row["body"]), row["name"])
    return _Open(row["id"], source, read_document(source))


def _make(
    conn: sqlite3.Connection,
    opened: _Open,
    patches: Sequence[Patch],
    who: str,
    text: str,
    reads_back: Callable[[Document], bool] = lambda document: True,
) -> list[str]:
    """Store the patched note, its tables and the history entry; refuse what would not read back as that edit."""
    source = opened.source.patched(patches)
    document = read_document(source)
    same_models = [model.name for model in document.models] == [model.name for model in opened.document.models]
    if not (same_models and reads_back(document)):
        raise EditError("the text would break the table it stands in", "edit the note by hand and import it")
    conn.execute("UPDATE notes SET body = ? WHERE id = ?", (source.encode(), opened.note))
    reindex(conn, document)
    record(conn, Entry("edit", who, text, {"note": opened.note, "patches": [vars(patch) for patch in patches]}))
    bump(conn, "tracker")
    return [text]


def _item(document: Document, number: int) -> ItemRow:
    for item in document.items:
        if item.number == number:
            if item.mark is None:
                raise EditError(f"the box of item {number} (line {item.line + 1}) could not be located")
            return item
    numbers = [item.number for item in document.items]
    span = f"the items are {min(numbers)} to {max(numbers)}" if numbers else "the note has no checklist"
    raise EditError(f"no item {number}", f"{span}; see `fada items`")


def _model(conn: sqlite3.Connection, document: Document, name: str) -> ModelRow:
    found = find_models(conn, name)
    if not found:
        near = nearest_names(conn, name)
        raise EditError(f"no model {name!r}", f"nearest: {', '.join(near)}" if near else "see `fada models`")
    if len(found) > 1:
        raise EditError(f"{name!r} may mean {' or '.join(model.name for model in found)}", "give one of these names")
    for row in document.models:
        if row.name == found[0].name:
            return row
    raise EditError(
        f"{found[0].name} is no longer in the note, so it cannot be edited there", "import a note that has it"
    )


def _status(document: Document, text: str) -> str:
    wanted = ladder_status(text.strip("* "))
    if wanted:
        return wanted
    used = dict.fromkeys(model.status for model in document.models)
    for status in used:
        if status.casefold() == text.strip("* ").casefold():
            return status
    known = [*STATUS_LADDER, *(status for status in used if status not in STATUS_LADDER)]
    raise EditError(f"no status {text!r}", f"one of: {', '.join(known)}")


def _one_line(text: str) -> str:
    text = text.strip()
    if any(char in text for char in "\n\r\0"):
        raise EditError("a cell of the note holds one line", "leave out line breaks")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise EditError("the text is not valid Unicode", "give it in UTF-8") from None
    return text


def _set_cell(conn: sqlite3.Connection, opened: _Open, row: ModelRow, role: str, value: str, who: str) -> list[str]:
    column = row.column_name(role)
    title = column or role.capitalize()
    was = (row.status if role == "status" else row.notes) or ""
    if was == value:
        return []
    text = f"{row.name}: {title} {was or '(empty)'} → {value or '(empty)'}"

    def reads_back(document: Document) -> bool:
        model = next(model for model in document.models if model.name == row.name)
        return (model.status if role == "status" else model.notes) == value

    lines = opened.source.lines
    if column is None:
        patches = add_column(lines, row.table, row.line, title, value)
        return _make(conn, opened, patches, who, f"{text} (a new column)", reads_back)
    at = list(row.columns).index(column)
    patch = cell_patch(lines, row.table, row.line, at, value, keep_bold=role == "status")
    return _make(conn, opened, [patch], who, text, reads_back)
