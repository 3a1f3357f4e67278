"""Notes on disk: read with errors that a person understands, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from db.atomic import replace_file, sweep
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


def resolve_note_path(path: Path) -> Path:
    """The file that a write to ``path`` lands in, symbolic links followed.

    Raises:
        NoteError: It is a directory, or cannot be found out.
    """
    try:
        target = path.resolve()
        if target.is_dir():
            raise IsADirectoryError
        return target
    except (OSError, RuntimeError) as error:
        raise _unwritable(error, path) from error


def path_key(path: Path) -> str | bytes:
    """How the database names the file behind ``path``: absolute, symbolic links followed.

    SQLite's text holds no lone surrogates, which stand for the bytes of a name that is not UTF-8: such a name is
    kept as those bytes.
    """
    name = str(path.resolve())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def key_path(key: str | bytes) -> Path:
    """The path that :func:`path_key` named."""
    return Path(os.fsdecode(key))


def is_stream(path: Path) -> bool:
    """True for a device or a pipe: nothing stands there that a write could destroy, and reading it may block.

    Ask with the path as it was given: what /dev/stdout resolves to has no name in the file system when it is a pipe.
    """
    return path.exists() and not path.is_file()


def write_note_file(path: Path, data: bytes, check: Callable[[str], None] | None = None) -> None:
    """Write through a temporary file beside it, flushed to the disk and renamed; an existing file keeps mode and owner.

    A symbolic link stays one: its target is written.

    Args:
        check: Called with the SHA-256 of what an existing file holds; raises where that must stay.

    Raises:
        NoteError: The place cannot be written, or is a device or a pipe; what stood there is as it was.
    """
    target = resolve_note_path(path)
    try:
        _replace(target, data, check)
    except OSError as error:
        raise _unwritable(error, path) from error


def write_stream(path: Path, data: bytes) -> None:
    """Write to a device or a pipe directly; one that nobody reads waits.

    Raises:
        NoteError: It cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise _unwritable(error, path) from error


def _replace(target: Path, data: bytes, check: Callable[[str], None] | None) -> None:
    _ask(check, target)
    like = target.stat() if target.exists() else None
    if like and not os.access(target, os.W_OK):
        # A rename needs no permission of the file that it replaces; whoever took it away did not mean that.
        raise PermissionError
    sweep(target.parent)
    # Asked again: flushing takes its time, and an editor may have saved meanwhile. From there to the rename is no wait.
    mode = stat.S_IMODE(like.st_mode) if like else None
    replace_file(target, data, mode, partial(_ask, check, target), like)


def _ask(check: Callable[[str], None] | None, target: Path) -> None:
    if is_stream(target):
        # Opening a pipe would wait for somebody at its other end.
        raise OSError("not a file")
    if check is None:
        return
    try:
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return
    check(digest)


def _unwritable(error: OSError | RuntimeError, path: Path) -> NoteError:
    reason = _reason(error) if isinstance(error, OSError) else "a loop of symbolic links"
    if isinstance(error, FileNotFoundError):
        reason = "no such folder"
    return NoteError(f"cannot write: {reason}", str(path), "choose another file")


def _reason(error: OSError) -> str:
    return {
        FileNotFoundError: "no such file",
        IsADirectoryError: "is a directory",
        PermissionError: "no permission",
    }.get(type(error), error.strerror or str(error))
