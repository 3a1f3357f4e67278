"""What a person names in an edit: models, statuses, texts for a cell. Errors say what there is instead."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from db.tracker.errors import EditError
from db.tracker.queries import find_models, nearest_names
from db.tracker.reading.values import ladder_status
from db.tracker.rows import STATUS_LADDER


def models_named(conn: sqlite3.Connection, names: Collection[str]) -> dict[str, str]:
    """The exact name of the model that each given name means.

    Raises:
        EditError: A name means none or several, or a model that is no longer in the note.
    """
    rows = conn.execute(
        "SELECT name FROM models WHERE NOT absent AND name IN (SELECT value FROM json_each(?))",
        (json.dumps(list(names)),),
    )
    exact = {row["name"] for row in rows}
    return {name: name if name in exact else _one_model(conn, name) for name in names}


def status_meant(conn: sqlite3.Connection, text: str) -> str:
    """A step of the ladder, or another status that the note uses already.

    Raises:
        EditError: It is neither.
    """
    bare = text.strip("* ")
    wanted = ladder_status(bare)
    if wanted:
        return wanted
    rows = conn.execute("SELECT status FROM models WHERE NOT absent GROUP BY status ORDER BY MIN(position)")
    used = [row["status"] for row in rows]
    for status in used:
        if status.casefold() == bare.casefold():
            return str(status)
    known = [*STATUS_LADDER, *(status for status in used if status not in STATUS_LADDER)]
    raise EditError(f"no status {text!r}", f"one of: {', '.join(known)}")


def one_line(text: str) -> str:
    """A text that a cell can hold, without the white space around it.

    Raises:
        EditError: It has several lines or is not Unicode.
    """
    text = text.strip()
    if any(char in text for char in "\n\r\0"):
        raise EditError("a cell of the note holds one line", "leave out line breaks")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise EditError("the text is not valid Unicode", "give it in UTF-8") from None
    return text


def _one_model(conn: sqlite3.Connection, name: str) -> str:
    found = find_models(conn, name)
    if not found:
        near = nearest_names(conn, name)
        raise EditError(f"no model {name!r}", f"nearest: {', '.join(near)}" if near else "see `fada models`")
    if len(found) > 1:
        raise EditError(f"{name!r} may mean {' or '.join(model.name for model in found)}", "give one of these names")
    if found[0].absent:
        raise EditError(
            f"{found[0].name} is no longer in the note, so it cannot be edited there", "import a note that has it"
        )
    return found[0].name
