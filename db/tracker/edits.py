"""Editing the tracker: each edit is a patch on the note's text, the tables, the history and the counter at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from db.connect import immediate
from db.tracker.editing.addrow import add_model, table_columns
from db.tracker.editing.aliases import Tie, absent_row, aliases_of, tie, untie
from db.tracker.editing.celledits import CellChange, edit_cells
from db.tracker.editing.items import set_items
from db.tracker.editing.lookup import models_named, one_line
from db.tracker.errors import EditError
from db.tracker.history import Entry, record, redo_last, undo_last
from db.tracker.queries import find_models
from db.tracker.reading.links import key_of

__all__ = [
    "CellChange",
    "add_alias",
    "add_model",
    "edit_cells",
    "redo",
    "remove_alias",
    "set_item",
    "set_items",
    "set_note",
    "set_notes",
    "set_status",
    "set_statuses",
    "table_columns",
    "undo",
]


def set_item(conn: sqlite3.Connection, number: int, done: bool, who: str = "user") -> list[str]:
    """Tick or clear one numbered check box; see :func:`set_items`."""
    return set_items(conn, [number], done, who)


def set_status(conn: sqlite3.Connection, model_name: str, status: str, who: str = "user") -> list[str]:
    """Move a model to a step of the ladder, or to another status that the note already uses.

    Raises:
        EditError: No such model or status, or the row cannot be edited.
    """
    return set_statuses(conn, [model_name], status, who)


def set_statuses(conn: sqlite3.Connection, names: Sequence[str], status: str, who: str = "user") -> list[str]:
    """The same for several models, as one change.

    Raises:
        EditError: As for one; then none was changed.
    """
    return edit_cells(conn, [CellChange(name, "status", status) for name in names], who)


def set_note(conn: sqlite3.Connection, model_name: str, text: str, who: str = "user") -> list[str]:
    """Write the Notes cell of a model; a table without that column gets it.

    Raises:
        EditError: No such model, a text of several lines, or the row cannot be edited.
    """
    return set_notes(conn, [model_name], text, who)


def set_notes(conn: sqlite3.Connection, names: Sequence[str], text: str, who: str = "user") -> list[str]:
    """The same for several models, as one change.

    Raises:
        EditError: As for one; then none was changed.
    """
    return edit_cells(conn, [CellChange(name, "notes", text) for name in names], who)


def add_alias(conn: sqlite3.Connection, model_name: str, alias: str, who: str = "user") -> list[str]:
    """Give a model another name; items and tables of the note that use it are tied to the model.

    The name of a model that is no longer in the note may be given: the two are one from then on.

    Raises:
        EditError: No such model, or the alias already means another model.
    """
    alias = one_line(alias)
    if not alias:
        raise EditError("an alias needs a name", "fada alias MODEL NAME")
    with immediate(conn):
        model = models_named(conn, [model_name])[model_name]
        taken = [other for other in find_models(conn, alias) if other.name != model]
        if len(taken) == 1 and taken[0].absent and key_of(taken[0].name) == key_of(alias):
            alias = taken[0].name
        absent = absent_row(conn, alias)
        if alias == model or (alias in aliases_of(conn, model) and not absent):
            return []
        meant = [other.name for other in taken if not absent] or [
            row["model"]
            for row in conn.execute(
                "SELECT model FROM aliases JOIN models ON name = model WHERE alias = ? AND model != ?", (alias, model)
            )
        ]
        if meant:
            raise EditError(f"{alias!r} already means {' and '.join(meant)}", "choose another name")
        text = f"{model}: also called {alias}{', which is no longer in the note' if absent else ''}"
        made = Tie(alias, model, who, time.time(), absent, aliases_of(conn, alias) if absent else ())
        tie(conn, made)
        record(conn, Entry("alias", who, text, vars(made), (model,), "alias"))
        return [text]


def remove_alias(conn: sqlite3.Connection, alias: str, who: str = "user") -> list[str]:
    """Take a name away that was given by hand.

    Raises:
        EditError: No model has this alias.
    """
    alias = alias.strip()
    with immediate(conn):
        known = {row["alias"]: row for row in conn.execute("SELECT alias, model, who, time FROM aliases")}
        found = [alias] if alias in known else [name for name in known if name.casefold() == alias.casefold()]
        if len(found) != 1:
            hint = f"the aliases are: {', '.join(sorted(known))}" if known else "no model has one"
            raise EditError(f"no alias {alias!r}", hint)
        old = Tie(**dict(known[found[0]]))
        untie(conn, old)
        text = f"{old.model}: no longer called {old.alias}"
        record(conn, Entry("unalias", who, text, vars(old), (old.model,), "alias"))
        return [text]


def undo(conn: sqlite3.Connection, who: str = "user") -> list[str]:
    """Take back the latest change that stands (an edit, an alias or an import); empty where there is none."""
    with immediate(conn):
        return undo_last(conn)


def redo(conn: sqlite3.Connection, who: str = "user") -> list[str]:
    """Make the change that was taken back last once more; empty where there is none, or an edit came since."""
    with immediate(conn):
        return redo_last(conn)
