"""Who changed what and when, and the way back: undo and redo survive the program."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from db.tracker.errors import EditError
from db.tracker.index import reindex
from db.tracker.recognise import read_document
from db.tracker.source import Patch, Source


@dataclass(frozen=True)
class Entry:
    """``kind`` is edit (patches on a note), alias or import; ``detail`` is what taking it back needs."""

    kind: str
    who: str
    text: str
    detail: dict[str, Any]


def record(conn: sqlite3.Connection, entry: Entry) -> None:
    """Append to the history; changes taken back before can no longer be made again."""
    conn.execute("UPDATE history SET redoable = 0 WHERE redoable")
    conn.execute(
        "INSERT INTO history(time, who, kind, text, detail) VALUES (?, ?, ?, ?, ?)",
        (time.time(), entry.who, entry.kind, entry.text, json.dumps(entry.detail, ensure_ascii=False)),
    )


def undo_last(conn: sqlite3.Connection) -> list[str]:
    """Take back the latest entry that stands, inside the caller's transaction; what was done in words."""
    row = conn.execute(
        "SELECT id, kind, text, detail FROM history WHERE NOT undone ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return []
    detail: dict[str, Any] = json.loads(row["detail"])
    if row["kind"] == "import" and detail["before"] is None:
        return []
    _STEPS[row["kind"]][0](conn, detail)
    conn.execute("UPDATE history SET undone = 1, redoable = 1 WHERE id = ?", (row["id"],))
    return [f"taken back: {row['text']}"]


def redo_last(conn: sqlite3.Connection) -> list[str]:
    """Make the entry that was taken back last once more."""
    row = conn.execute("SELECT id, kind, text, detail FROM history WHERE redoable ORDER BY id LIMIT 1").fetchone()
    if row is None:
        return []
    _STEPS[row["kind"]][1](conn, json.loads(row["detail"]))
    conn.execute("UPDATE history SET undone = 0, redoable = 0 WHERE id = ?", (row["id"],))
    return [f"made again: {row['text']}"]


def _undo_edit(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    _patch(conn, detail["note"], [Patch(**patch).reversed() for patch in reversed(detail["patches"])])


def _redo_edit(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    _patch(conn, detail["note"], [Patch(**patch) for patch in detail["patches"]])


def _patch(conn: sqlite3.Connection, note: int, patches: list[Patch]) -> None:
    row = conn.execute("SELECT name, body FROM notes WHERE id = ?", (note,)).fetchone()
    try:
        source = Source.decode(bytes(row["body"]), row["name"]).patched(patches)
    except ValueError as error:
        raise EditError(f"the note is not as this change left it: {error}", "see `fada history`") from error
    conn.execute("UPDATE notes SET body = ? WHERE id = ?", (source.encode(), note))
    reindex(conn, read_document(source))


def _undo_alias(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    conn.execute("DELETE FROM aliases WHERE alias = ?", (detail["alias"],))
    _reindex_current(conn)


def _redo_alias(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO aliases(alias, model, who, time) VALUES (?, ?, ?, ?)",
        (detail["alias"], detail["model"], detail["who"], time.time()),
    )
    _reindex_current(conn)


def _undo_import(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    # Models that came with this note were never in the one before: they are not absent from it, they are gone.
    conn.executemany("DELETE FROM models WHERE name = ?", [(name,) for name in detail["added"]])
    _make_current(conn, detail["before"])


def _redo_import(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    _make_current(conn, detail["note"])


def _make_current(conn: sqlite3.Connection, note: int) -> None:
    conn.execute("UPDATE notes SET is_current = (id = ?)", (note,))
    _reindex_current(conn)


def _reindex_current(conn: sqlite3.Connection) -> None:
    row = conn.execute("SELECT name, body FROM notes WHERE is_current").fetchone()
    reindex(conn, read_document(Source.decode(bytes(row["body"]), row["name"])))


_STEPS = {
    "edit": (_undo_edit, _redo_edit),
    "alias": (_undo_alias, _redo_alias),
    "import": (_undo_import, _redo_import),
}
