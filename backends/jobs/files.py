"""Small files that are whole or absent. Standard library only: the runner imports this."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from db.atomic import replace_file


def write_json(path: Path, document: Any) -> None:
    """Replace ``path`` atomically; mode 0600."""
    replace_file(path, json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n", mode=0o600)


def overwrite_json(path: Path, document: Any) -> None:
    """Write into a small file that is there, where a full disk has no room for another: its own block holds it.

    Raises:
        OSError: It does not; the file is as it was.
    """
    data = json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        # Never shorter than before: white space at its end is nothing to JSON, half of what stood there would be.
        os.pwrite(descriptor, data.ljust(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in ``path``, or None where it is absent or not one (never half written by us)."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def make_own(path: Path) -> None:
    """Make an empty file where there is none, that only its owner reads and writes."""
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))


def open_log(path: Path) -> IO[bytes]:
    """An O_APPEND file for a child's output (0600): a file, never a pipe that somebody must drain."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab", buffering=0)


def end_torn_line(path: Path) -> None:
    """A writer that was killed may leave half a line: close it, so that the next line starts on its own."""
    try:
        with open(path, "rb+") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
    except FileNotFoundError:
        return


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def complain(text: str) -> None:
    """A word in the process's own log. A full disk takes none, and that must end nobody."""
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"[fada] {text}\n".encode(errors="replace"))
