"""A new model: a row at the end of its section's table, set as the rows above it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence

from db.connect import immediate, one_view
from db.tracker.editing.current import CurrentNote, current_note
from db.tracker.editing.lookup import one_line, status_meant
from db.tracker.editing.store import make
from db.tracker.errors import EditError
from db.tracker.history import Entry, patches_detail, record
from db.tracker.indexing.parts import Span, read_table
from db.tracker.markdown.blocks import Table, plain
from db.tracker.markdown.source import Patch
from db.tracker.markdown.tables import Layout
from db.tracker.reading.document import role_of
from db.tracker.reading.links import key_of
from db.tracker.reading.shapes import column_names

_MARKS = re.compile(r"([\\`*_\[\]<>&!~#])")
_BOLD = re.compile(r"\*\*.+\*\*", re.DOTALL)


def add_model(
    conn: sqlite3.Connection, name: str, section: str, columns: Mapping[str, str], who: str = "user"
) -> list[str]:
    """Append a row to the last model table of a section, in that table's own style.

    Args:
        section: Its title, or a part of it that no other has.
        columns: Texts by column name (see :func:`table_columns`), Markdown as in the note; the status is TODO where
            it is not given.

    Raises:
        EditError: No such section or column, a name that is taken, or a text that the table cannot hold.
    """
    name = one_line(name)
    with immediate(conn):
        note = current_note(conn)
        section_id, title = _section(conn, section)
        _check_name(conn, name)
        table = _last_table(conn, note, section_id)
        names = column_names(table.header)
        given = _values(conn, names, columns, title)
        is_bold = sum(_is_bold(row.texts[_model_at(names)]) for row in table.rows) * 2 > len(table.rows)
        cells = {**given, _model_at(names): _as_markdown(name, is_bold=is_bold)}
        text = Layout(note.source.lines, table).new_row([cells.get(at, "") for at in range(len(names))])
        patch = Patch(table.last_line, len(note.source.lines[table.last_line]), "", _line_end(note, table) + text)
        is_new = conn.execute("SELECT 1 FROM models WHERE name = ?", (name,)).fetchone() is None
        make(
            conn,
            note,
            [patch],
            (),
            lambda models: all(models[name].columns[names[at]] == value for at, value in cells.items()),
            added=name,
        )
        words = f"{name}: added to {title}"
        detail = {**patches_detail([patch]), "added": [name] if is_new else []}
        record(conn, Entry("edit", who, words, detail, (name,), "add"))
        return [words]


def table_columns(conn: sqlite3.Connection, section: str) -> list[str]:
    """The columns, other than Model, of the table that :func:`add_model` would add to.

    Raises:
        EditError: No such section.
    """
    with one_view(conn):
        table = _last_table(conn, current_note(conn), _section(conn, section)[0])
        names = column_names(table.header)
        return [name for at, name in enumerate(names) if at != _model_at(names)]


def _section(conn: sqlite3.Connection, text: str) -> tuple[int, str]:
    """A section's id and title: exact, else but for case, else the one that has the text in its title."""
    titles = [(int(row["id"]), str(row["title"])) for row in conn.execute("SELECT id, title FROM sections ORDER BY id")]
    folded = text.strip().casefold()
    for found in (
        [(key, title) for key, title in titles if title == text],
        [(key, title) for key, title in titles if title.casefold() == folded],
        [(key, title) for key, title in titles if folded and folded in title.casefold()],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise EditError(f"{text!r} may mean {' or '.join(title for _, title in found)}", "give more of the title")
    raise EditError(f"no section {text!r}", f"the sections are: {'; '.join(title for _, title in titles)}")


def _check_name(conn: sqlite3.Connection, name: str) -> None:
    key = key_of(name)
    if not key:
        raise EditError("a model needs a name", "fada add NAME --section SECTION")
    known = conn.execute("SELECT name, name AS model, absent FROM models UNION ALL SELECT alias, model, 0 FROM aliases")
    for row in known:
        if key_of(row["name"]) != key or (row["absent"] and row["name"] == name):
            continue
        if row["absent"]:
            raise EditError(f"{row['name']} was in the note before", "add it by that name")
        other = f"another name of {row['model']}" if row["name"] != row["model"] else "in the note already"
        raise EditError(f"{row['name']} is {other}", "choose another name")


def _last_table(conn: sqlite3.Connection, note: CurrentNote, section_id: int) -> Table:
    row = conn.execute(
        "SELECT header_line, last_line, nested FROM model_tables WHERE section_id = ? ORDER BY id DESC LIMIT 1",
        (section_id,),
    ).fetchone()
    span = Span(section_id - 1, row["header_line"], row["last_line"])
    table = None if row["nested"] else read_table(note.source, span)
    return table or next(one.table for one in note.document.tables if one.table.line == span.header)


def _model_at(names: Sequence[str]) -> int:
    return next(at for at, name in enumerate(names) if role_of(name) == "model")


def _values(conn: sqlite3.Connection, names: Sequence[str], columns: Mapping[str, str], title: str) -> dict[int, str]:
    """The given texts by column; a status as the ladder spells it."""
    values: dict[int, str] = {}
    for column, text in columns.items():
        at = _column(names, column, title)
        value = one_line(text)
        values[at] = status_meant(conn, value) if role_of(names[at]) == "status" and value else value
    for at, name in enumerate(names):
        if role_of(name) == "status" and not values.get(at):
            values[at] = "TODO"
    return values


def _column(names: Sequence[str], wanted: str, title: str) -> int:
    folded = wanted.strip().casefold()
    for fits in (
        lambda name: name == wanted,
        lambda name: name.casefold() == folded,
        lambda name: role_of(name) is not None and role_of(name) == role_of(wanted),
    ):
        for at, name in enumerate(names):
            if at != _model_at(names) and fits(name):
                return at
    others = [name for at, name in enumerate(names) if at != _model_at(names)]
    raise EditError(f"the table of {title} has no column {wanted!r}", f"its columns are: {', '.join(others)}")


def _as_markdown(name: str, *, is_bold: bool) -> str:
    """A cell that reads as this name: marks in it are escaped."""
    for text in (name, _MARKS.sub(r"\\\1", name)):
        for cell in (f"**{text}**", text) if is_bold else (text,):
            if plain(cell) == name:
                return cell
    raise EditError(f"the note cannot hold {name!r} as a name", "leave out the signs that Markdown reads")


def _is_bold(text: str) -> bool:
    return _BOLD.fullmatch(text) is not None


def _line_end(note: CurrentNote, table: Table) -> str:
    """As behind the header; a table always has a line after that."""
    source = note.source
    start = source.starts[table.line] + len(source.lines[table.line])
    return source.text[start : source.starts[table.line + 1]]
