"""Keeping the note and a file in step: merged both ways against what they last agreed on, written whole or not."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from db.connect import immediate
from db.tracker import importer
from db.tracker.disk.files import is_stream, key_path, path_key, read_note_file, resolve_note_path, write_note_file
from db.tracker.disk.filewatch import Stamp, SyncState, look
from db.tracker.errors import EditError, NoteConflict, NoteError
from db.tracker.export import agree, agreed, as_imported
from db.tracker.merging.merge import Choices, Conflict, Merged, merge
from db.tracker.reading.document import Document

__all__ = ["Stamp", "SyncPlan", "SyncResult", "SyncState", "look", "note_file", "plan_sync", "sync_note"]


@dataclass(frozen=True)
class SyncPlan:
    """What a sync would do, in words; nothing was written.

    ``conflicts`` are in the order that the indices of :data:`~db.tracker.merging.merge.Choices` count.
    ``fingerprint`` stands for both sides as they were read: hand it to :func:`sync_note`, which then refuses where
    either has changed since.
    """

    path: Path
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    creates: bool
    """The file is missing, and a sync writes it."""
    fingerprint: str


@dataclass(frozen=True)
class SyncResult:
    """``changed`` in words; while there are ``conflicts``, nothing was written and nothing stored."""

    changed: list[str]
    conflicts: tuple[Conflict, ...]
    wrote: bool
    """The file was written."""


@dataclass(frozen=True)
class _Sides:
    path: Path
    base: bytes
    ours: bytes
    theirs: bytes | None
    """None: there is no such file."""
    document: Document | None
    """What ``theirs`` says."""

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for data in (self.base, self.ours, self.theirs or b""):
            digest.update(hashlib.sha256(data).digest())
        return digest.hexdigest()

    def merged(self, choices: Choices = None) -> Merged:
        theirs = self.ours if self.theirs is None else self.theirs
        return merge(self.base, self.ours, theirs, choices)


def note_file(conn: sqlite3.Connection) -> Path | None:
    """The file that the current note is kept in step with: the one it came from, else the one last exported to."""
    row = conn.execute(
        "SELECT coalesce(notes.path, (SELECT synced.path FROM synced WHERE note_id = notes.id ORDER BY t DESC LIMIT 1))"
        " AS path FROM notes WHERE is_current"
    ).fetchone()
    return None if row is None or row["path"] is None else key_path(row["path"])


def plan_sync(conn: sqlite3.Connection, path: Path, prefer: Choices = None) -> SyncPlan:
    """What :func:`sync_note` would bring in, send out, and could not decide.

    Raises:
        NoteError: The file cannot be read or is no tracker note.
    """
    sides = _read(conn, path)
    merged = sides.merged(prefer)
    return SyncPlan(sides.path, merged.comes, merged.goes, merged.conflicts, sides.theirs is None, sides.fingerprint)


def sync_note(
    conn: sqlite3.Connection,
    path: Path,
    who: str = "user",
    prefer: Choices = None,
    fingerprint: str | None = None,
) -> SyncResult:
    """Bring a file's changes into the current note and the note's changes into the file.

    What comes in is one entry of the history, taken back by one undo. A missing file is written anew.

    Args:
        prefer: How conflicts are settled; without it they are returned, and nothing is written or stored.
        fingerprint: Of the plan that the choices were made on.

    Raises:
        NoteConflict: A side changed since the plan was made, or the file while it was being written.
        NoteError: The file is no tracker note, or cannot be read or written; nothing was changed.
    """
    with immediate(conn):
        sides = _read(conn, path)
        if fingerprint is not None and sides.fingerprint != fingerprint:
            raise NoteConflict(
                "the note or the file changed while you were choosing; nothing was written",
                str(path),
                "sync again: it shows what is there now",
            )
        merged = sides.merged(prefer)
        if merged.conflicts:
            return SyncResult([], merged.conflicts, False)
        return _apply(conn, sides, merged, who)


def _apply(conn: sqlite3.Connection, sides: _Sides, merged: Merged, who: str) -> SyncResult:
    changed: list[str] = []
    key = path_key(sides.path)
    conn.execute("UPDATE notes SET path = ? WHERE is_current AND path IS NOT ?", (key, key))
    if merged.data != sides.ours:
        name = str(sides.path)
        document = sides.document if merged.data == sides.theirs else None
        document = document or importer.read_note(merged.data, name)
        importer.store_note(conn, merged.data, document, name, who, path=sides.path, kind_text=f"synced with {name}")
        conn.execute(
            "UPDATE history SET detail = json_set(detail, '$.sync', 1) WHERE id = (SELECT max(id) FROM history)"
        )
        changed += merged.comes
    agree(conn, sides.path, merged.data)
    wrote = merged.data != sides.theirs
    if wrote:
        write_note_file(sides.path, merged.data, _unchanged(sides))
        changed.append(f"{'created' if sides.theirs is None else _wrote(merged.outgoing)} {sides.path}")
    return SyncResult(changed, (), wrote)


def _wrote(count: int) -> str:
    """Without a number where both sides mean the same and only write it differently (``[x]`` and ``[X]``)."""
    return f"wrote {count} change{'s' * (count != 1)} to" if count else "wrote"


def _read(conn: sqlite3.Connection, path: Path) -> _Sides:
    target = resolve_note_path(path)
    if is_stream(path):
        raise NoteError("not a file that can be kept in step", str(path), "give the path of a tracker note (Markdown)")
    note = conn.execute("SELECT body FROM notes WHERE is_current").fetchone()
    if note is None:
        raise EditError("there is no note yet", "import one with `fada import FILE.md`")
    theirs = read_note_file(path) if target.exists() else None
    document = None if theirs is None else importer.read_note(theirs, str(path))
    base = agreed(conn, path_key(target))
    if base is None:
        base = as_imported(conn)
    return _Sides(target, base, bytes(note["body"]), theirs, document)


def _unchanged(sides: _Sides) -> Callable[[str], None]:
    """Refuses a file that is no longer as it was read."""
    known = None if sides.theirs is None else hashlib.sha256(sides.theirs).hexdigest()

    def check(digest: str) -> None:
        if digest != known:
            raise NoteConflict(
                "the file was changed just now; nothing was written", str(sides.path), "sync again: it takes that in"
            )

    return check
