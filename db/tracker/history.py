"""Who changed what and when, and the way back: undo and redo survive the program."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db.connect import bump
from db.tracker.editing.aliases import Tie, tie, untie
from db.tracker.editing.current import current_note
from db.tracker.editing.store import put_back
from db.tracker.errors import EditError
from db.tracker.indexing.index import reindex
from db.tracker.markdown.source import Patch

_MOST_NAMED = 5


@dataclass(frozen=True)
class Entry:
    """One change.

    ``kind`` says how it is taken back: edit (patches on a note), alias, unalias, import, dismiss (nothing to do);
    ``detail`` is what that needs. ``models`` are the names of those that it is about, ``what`` was done to them:
    status, notes, items, add, alias, accept, dismiss, measured.
    """

    kind: str
    who: str
    text: str
    detail: dict[str, Any]
    models: tuple[str, ...] = ()
    what: str = ""


def record(conn: sqlite3.Connection, entry: Entry) -> None:
    """Append to the history; changes taken back before can no longer be made again."""
    detail = {**entry.detail, "models": list(entry.models), "what": entry.what}
    conn.execute("UPDATE history SET redoable = 0 WHERE redoable")
    conn.execute(
        "INSERT INTO history(time, who, kind, text, detail) VALUES (?, ?, ?, ?, ?)",
        (time.time(), entry.who, entry.kind, entry.text, json.dumps(detail, ensure_ascii=False)),
    )


def in_words(lines: Sequence[str], text: str | None = None) -> str:
    """One entry's text for several changes, after an introduction where there is one."""
    words = "; ".join(_some(together(lines)))
    return f"{text}: {words}" if text else words


def together(lines: Sequence[str]) -> list[str]:
    """``A: Status TODO → Tested`` of several names in one line: ``A, B and 7 more: Status TODO → Tested``."""
    names: dict[str, list[str]] = {}
    for line in lines:
        name, colon, change = line.partition(": ")
        names.setdefault(f"{colon}{change}", []).append(name)
    return [f"{_listed(several)}{change}" for change, several in names.items()]


def _listed(names: Sequence[str]) -> str:
    *first, last = _some(names)
    return f"{', '.join(first)}{' ' if last.startswith('and ') else ' and '}{last}" if first else last


def _some(texts: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    rest = len(texts) - _MOST_NAMED
    return [*texts[:_MOST_NAMED], *([f"and {rest:,} more"] if rest > 0 else [])]


def patches_detail(patches: Sequence[Patch]) -> dict[str, Any]:
    """What an edit's entry keeps, so that it can be taken back."""
    return {"patches": [vars(patch) for patch in patches]}


def settled(conn: sqlite3.Connection) -> dict[str, float]:
    """When each model's status was last decided: set, accepted or a proposal dismissed, and not taken back since.

    Names are today's: what was decided under an alias counts for its model. Seconds since the epoch.
    """
    rows = conn.execute(
        "SELECT coalesce(aliases.model, named.value) AS model, MAX(history.time) AS time"
        " FROM history, json_each(history.detail, '$.models') AS named LEFT JOIN aliases ON alias = named.value"
        " WHERE NOT undone AND json_extract(detail, '$.what') IN ('status', 'accept', 'dismiss') GROUP BY 1"
    )
    return {row["model"]: row["time"] for row in rows}


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
    _forget(conn, detail.get("added", ()))
    _patch(conn, detail, [Patch(**patch).reversed() for patch in reversed(detail["patches"])])


def _redo_edit(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    _patch(conn, detail, [Patch(**patch) for patch in detail["patches"]])


def _patch(conn: sqlite3.Connection, detail: dict[str, Any], patches: list[Patch]) -> None:
    try:
        put_back(conn, current_note(conn), patches, detail.get("models", ()))
    except ValueError as error:
        raise EditError(f"the note is not as this change left it: {error}", "see `fada history`") from error


def _tie(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    tie(conn, Tie.of(detail))


def _untie(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    untie(conn, Tie.of(detail))


def _undo_import(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    # Models that came with this note were never in the one before: they are not absent from it, they are gone.
    _forget(conn, detail["added"])
    _make_current(conn, detail["before"])


def _redo_import(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    _make_current(conn, detail["note"])


def _forget(conn: sqlite3.Connection, names: list[str] | tuple[str, ...]) -> None:
    conn.executemany("DELETE FROM models WHERE name = ?", [(name,) for name in names])


def _make_current(conn: sqlite3.Connection, note: int) -> None:
    conn.execute("UPDATE notes SET is_current = (id = ?)", (note,))
    reindex(conn, current_note(conn).document)


def _flip(conn: sqlite3.Connection, detail: dict[str, Any]) -> None:
    bump(conn, "tracker")


_STEPS = {
    "edit": (_undo_edit, _redo_edit),
    "alias": (_untie, _tie),
    "unalias": (_tie, _untie),
    "import": (_undo_import, _redo_import),
    "dismiss": (_flip, _flip),
}
