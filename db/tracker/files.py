"""Notes on disk: read with errors that a person understands, written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

from db.atomic import replace_file
from db.tracker.errors import NoteError


def read_note_file(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        NoteError: It is missing, a directory, or may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoteError(_reason(error), str(path), "give the path of a tracker note (Markdown)") from error


def write_note_file(path: Path, data: bytes) -> None:
    """Write through a temporary file beside it, flushed to the disk and renamed; an existing file keeps its mode.

    A symbolic link stays one: its target is written. A device or pipe is written to directly.

    Raises:
        NoteError: The place cannot be written; what stood there is as it was.
    """
    try:
        target = path.resolve()
        if target.is_dir():
            raise IsADirectoryError
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        replace_file(target, data, stat.S_IMODE(target.stat().st_mode) if target.exists() else None)
    except (OSError, RuntimeError) as error:
        reason = _reason(error) if isinstance(error, OSError) else "a loop of symbolic links"
        raise NoteError(f"cannot write: {reason}", str(path), "choose another file") from error


def _reason(error: OSError) -> str:
    return {
        FileNotFoundError: "no such file",
        IsADirectoryError: "is a directory",
        PermissionError: "no permission",
    }.get(type(error), error.strerror or str(error))
