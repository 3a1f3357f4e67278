"""Writing Status and Notes cells, any number of them as one change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from db.connect import immediate
from db.tracker.editing.current import CurrentNote, current_note
from db.tracker.editing.lookup import models_named, one_line, status_meant
from db.tracker.editing.store import make
from db.tracker.errors import EditError
from db.tracker.history import Entry, in_words, patches_detail, record
from db.tracker.indexing.parts import read_rows
from db.tracker.indexing.rowpatch import by_table, patched, places_of
from db.tracker.markdown.source import Patch, Source
from db.tracker.markdown.tables import Layout
from db.tracker.reading.document import ModelRow
from db.tracker.reading.recognise import read_document

Role = Literal["status", "notes"]


@dataclass(frozen=True)
class CellChange:
    """What a model's Status or Notes cell shall say. ``model`` is any name of it."""

    model: str
    role: Role
    value: str


Wanted = dict[str, dict[Role, str]]
"""Values by role, by the model's exact name."""


def edit_cells(
    conn: sqlite3.Connection,
    changes: Sequence[CellChange],
    who: str = "user",
    text: str | None = None,
    what: str | None = None,
) -> list[str]:
    """Write cells in one transaction, as one entry of the history that one undo takes back.

    A table without a Notes or Status column gets it.

    Args:
        changes: Of several for one cell, the last counts.
        who: Who does it, for the history.
        text: An introduction for the history, for instance ``from run #12``.
        what: The history's word for it; ``status`` where a status changes, else ``notes``.

    Returns:
        One line a change in words; empty where every cell already says so.

    Raises:
        EditError: No such model or status, a text of several lines, or a row cannot be edited; nothing was changed.
    """
    with immediate(conn):
        note = current_note(conn)
        asked = _asked(conn, changes)
        rows = _rows(conn, note, asked)
        wanted = {name: fresh for name, values in asked.items() if (fresh := _fresh(rows[name], values))}
        if not wanted:
            return []
        words = [_words(rows[name], role, value) for name, values in wanted.items() for role, value in values.items()]
        patches = _patches(note, rows, wanted)
        make(conn, note, patches, wanted, lambda models: _holds(models, wanted))
        if what is None:
            what = "status" if any("status" in values for values in wanted.values()) else "notes"
        record(conn, Entry("edit", who, in_words(words, text), patches_detail(patches), tuple(wanted), what))
        return words


def _asked(conn: sqlite3.Connection, changes: Iterable[CellChange]) -> Wanted:
    changes = list(changes)
    statuses = {
        text: status_meant(conn, text)
        for text in dict.fromkeys(change.value for change in changes if change.role == "status")
    }
    names = models_named(conn, dict.fromkeys(change.model for change in changes))
    wanted: Wanted = {}
    for change in changes:
        value = statuses[change.value] if change.role == "status" else one_line(change.value)
        wanted.setdefault(names[change.model], {})[change.role] = value
    return wanted


def _rows(conn: sqlite3.Connection, note: CurrentNote, names: Iterable[str]) -> dict[str, ModelRow]:
    """The models' rows: read by themselves where that is possible, else from the whole note."""
    names = set(names)
    rows: dict[str, ModelRow] = {}
    for span, places in by_table(places_of(conn, names)).items():
        part = read_rows(note.source, span, [place.line for place in places], sampled=True)
        models = part.models.values() if part else ()
        rows.update((model.name, model) for model in models if model.name in names)
    if len(rows) < len(names):
        rows = {model.name: model for model in note.document.models if model.name in names}
    return rows


def _says(row: ModelRow, role: Role) -> str:
    return (row.status if role == "status" else row.notes) or ""


def _fresh(row: ModelRow, values: Mapping[Role, str]) -> dict[Role, str]:
    """The values that the row does not have yet."""
    return {role: value for role, value in values.items() if _says(row, role) != value}


def _holds(models: Mapping[str, ModelRow], wanted: Wanted) -> bool:
    return all(name in models and not _fresh(models[name], values) for name, values in wanted.items())


def _words(row: ModelRow, role: Role, value: str) -> str:
    column = row.column_name(role)
    text = f"{row.name}: {column or role.capitalize()} {_says(row, role) or '(empty)'} → {value or '(empty)'}"
    return text if column else f"{text} (a new column)"


def _patches(note: CurrentNote, rows: Mapping[str, ModelRow], wanted: Wanted) -> list[Patch]:
    """Patches in the order in which they are made; new columns come last, each on the text as it is by then."""
    layouts: dict[int, Layout] = {}
    patches: list[Patch] = []
    without: list[tuple[str, Role]] = []
    for name, values in wanted.items():
        row = rows[name]
        cells: dict[int, str] = {}
        bold: set[int] = set()
        for role, value in values.items():
            column = row.column_name(role)
            if column is None:
                without.append((name, role))
                continue
            at = list(row.columns).index(column)
            cells[at] = value
            bold |= {at} if role == "status" else set()
        if cells:
            if id(row.table) not in layouts:
                layouts[id(row.table)] = Layout(note.source.lines, row.table)
            patches += layouts[id(row.table)].write(row.row, cells, keep_bold=bold)
    return patches + _new_columns(patched(note.source, patches), without, wanted) if without else patches


def _new_columns(source: Source, without: Sequence[tuple[str, Role]], wanted: Wanted) -> list[Patch]:
    patches: list[Patch] = []
    waiting = list(without)
    while waiting:
        role = waiting[0][1]
        rows = {model.name: model for model in read_document(source).models}
        if any(name not in rows for name, _ in waiting):
            raise EditError("the text would break the table it stands in", "edit the note by hand and import it")
        header = rows[waiting[0][0]].table.line
        now = [name for name, other in waiting if other == role and rows[name].table.line == header]
        layout = Layout(source.lines, rows[now[0]].table)
        added = layout.add_column(role.capitalize(), {rows[name].line: wanted[name][role] for name in now})
        source = patched(source, added)
        patches += added
        waiting = [(name, other) for name, other in waiting if other != role or name not in now]
    return patches
