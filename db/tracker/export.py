"""The note back, byte for byte but for what was edited; a file that may be somebody's work is not written over."""

from __future__ import annotations

import hashlib
import shlex
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from db.connect import immediate
from db.tracker.disk.files import is_stream, path_key, resolve_note_path, write_note_file, write_stream
from db.tracker.errors import NoteConflict


def export_note(conn: sqlite3.Connection) -> bytes:
    """The current note's exact bytes; empty where none was ever imported."""
    row = conn.execute("SELECT body FROM notes WHERE is_current").fetchone()
    return bytes(row["body"]) if row else b""


def as_imported(conn: sqlite3.Connection) -> bytes:
    """The current note before any edit; empty where none was ever imported."""
    row = conn.execute(
        "SELECT coalesce((SELECT data FROM originals WHERE note_id = notes.id), body) AS data FROM notes"
        " WHERE is_current"
    ).fetchone()
    return bytes(row["data"]) if row else b""


def export_to_file(conn: sqlite3.Connection, path: Path, *, force: bool = False) -> int:
    """Write the current note to a file and remember what was written there; the number of bytes.

    Without ``force`` an existing file is replaced only where nothing is lost with it: it is empty, or holds the
    current note as it is now or as it was imported, or what the last export put there.

    Raises:
        NoteConflict: The file holds anything else; nothing was written.
        NoteError: The place cannot be written; what stood there is as it was.
    """
    target = resolve_note_path(path)
    if is_stream(path):
        # Outside the transaction: a pipe without a reader waits, and must not keep the database locked.
        data = export_note(conn)
        write_stream(path, data)
        return len(data)
    with immediate(conn):
        data = export_note(conn)
        check = None if force else _check(conn, path, target, data)
        agree(conn, target, data)
        write_note_file(path, data, check)
    return len(data)


def agree(conn: sqlite3.Connection, target: Path, data: bytes) -> None:
    """Remember, inside the caller's transaction, that this file and the current note hold the same bytes from now on.

    A later export may replace the file while it still does, and a later sync has its base.
    """
    key, now = path_key(target), time.time()
    conn.execute(
        "INSERT OR REPLACE INTO written(path, sha256, t) VALUES (?, ?, ?)",
        (key, hashlib.sha256(data).hexdigest(), now),
    )
    conn.execute(
        "INSERT OR REPLACE INTO synced(path, note_id, base, t) SELECT ?, id, ?, ? FROM notes WHERE is_current",
        (key, data, now),
    )


def _check(conn: sqlite3.Connection, path: Path, target: Path, data: bytes) -> Callable[[str], None]:
    """Refuses a file, by its SHA-256, that is none of those which may be replaced."""
    last = conn.execute("SELECT sha256, t FROM written WHERE path = ?", (path_key(target),)).fetchone()
    known = {_sha256(b""), _sha256(data), _sha256(as_imported(conn))}
    if last:
        known.add(last["sha256"])

    def check(digest: str) -> None:
        if digest in known:
            return
        what = "the file holds something else than the note that was imported"
        if last:
            what = f"the file was changed after fada wrote it on {datetime.fromtimestamp(last['t']):%Y-%m-%d %H:%M:%S}"
        raise NoteConflict(
            f"{what}; nothing was written",
            str(path),
            f"`--force` overwrites; `fada import {shlex.quote(str(path))}` takes its changes in",
        )

    return check


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def agreed(conn: sqlite3.Connection, key: str | bytes) -> bytes | None:
    """What the file of that key and the database last agreed on; None where they never met since another note came.

    An import makes another note the current one: what an older one agreed on with some file says nothing of it. A
    sync goes on with the same note, though it is stored as an import.
    """
    row = conn.execute(
        "SELECT base FROM synced WHERE path = ? AND NOT EXISTS (SELECT 1 FROM history WHERE kind = 'import'"
        " AND NOT undone AND time > synced.t AND json_extract(detail, '$.sync') IS NULL)",
        (key,),
    ).fetchone()
    return bytes(row["base"]) if row else None
