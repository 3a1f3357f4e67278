"""Does the file still say what the note says? Cheap enough to ask every two seconds."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from db.connect import counters
from db.tracker.disk.files import path_key
from db.tracker.export import agreed, as_imported, export_note

Step = Literal["same", "file", "panel", "both", "missing", "unreadable"]


@dataclass(frozen=True)
class SyncState:
    """Which side changed since they last agreed: the file, the note in the panel, both or none. ``text`` says so."""

    path: Path
    state: Step
    text: str

    @property
    def is_news(self) -> bool:
        """The file has changes that the note in the panel lacks."""
        return self.state in ("file", "both")


@dataclass(frozen=True)
class Stamp:
    """What :func:`look` saw, so that the next look reads only what changed. Opaque to callers."""

    path: Path
    stat: tuple[int, ...] | None
    version: tuple[int, float]
    """Of the note, and of what was last agreed on."""
    file: str
    """Of the file, the note and what they last agreed on: SHA-256 in hexadecimal."""
    note: str
    base: str
    state: SyncState


def look(conn: sqlite3.Connection, path: Path, last: Stamp | None = None) -> tuple[SyncState, Stamp]:
    """Compare the file with the current note and with what they last agreed on; never raises for the file's sake.

    One ``stat`` and one query while nothing changed; the bytes of a side are read only after it did.
    """
    if last is not None and last.path != path:
        last = None
    version = _version(conn, path)
    error = ""
    try:
        stat = _identity(path)
    except OSError as reason:
        stat, error = None, "" if isinstance(reason, FileNotFoundError) else reason.strerror or str(reason)
    if last is not None and stat == last.stat and version == last.version and not error:
        return last.state, last
    note, base = (last.note, last.base) if last and version == last.version else _digests(conn, path)
    file = ""
    if stat is not None and not error:
        try:
            file = last.file if last and last.file and stat == last.stat else _digest(path.read_bytes())
        except OSError as reason:
            error = reason.strerror or str(reason)
    state = _state(path, file, note, base, error)
    return state, Stamp(path, stat, version, file, note, base, state)


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _version(conn: sqlite3.Connection, path: Path) -> tuple[int, float]:
    row = conn.execute("SELECT t FROM synced WHERE path = ?", (path_key(path),)).fetchone()
    return counters(conn).get("tracker", 0), row["t"] if row else 0.0


def _digests(conn: sqlite3.Connection, path: Path) -> tuple[str, str]:
    """Of the current note, and of what it and the file last agreed on (as imported where they never met)."""
    base = agreed(conn, path_key(path))
    return _digest(export_note(conn)), _digest(as_imported(conn) if base is None else base)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _state(path: Path, file: str, note: str, base: str, error: str) -> SyncState:
    name = path.name
    if error:
        return SyncState(path, "unreadable", f"{name} cannot be read: {error}")
    if not file:
        return SyncState(path, "missing", f"{name} is gone: a sync writes it anew")
    if file == note:
        return SyncState(path, "same", f"{name} says the same")
    if note == base:
        return SyncState(path, "file", f"{name} changed on disk")
    if file == base:
        return SyncState(path, "panel", f"changes not yet in {name}")
    return SyncState(path, "both", f"{name} changed on disk, and there are changes not yet in it")
