"""Replacing a file whole or not at all. Standard library only."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.fada-[0-9a-f]{16}\.tmp")
_STALE_S = 3600.0


def replace_file(
    target: Path,
    data: bytes,
    mode: int | None = None,
    last_look: Callable[[], object] | None = None,
    owned_as: os.stat_result | None = None,
) -> None:
    """Write a temporary file beside ``target``, flush it to the disk, rename it, and flush the folder.

    Args:
        mode: Permission bits of the new file; None: as the process makes files.
        last_look: Called when all is written and only the rename is left; what it raises leaves things as they were.
        owned_as: Whose the new file is, as far as the process may give files away.

    Raises:
        OSError: What stood there is as it was.
    """
    temporary = target.with_name(f".fada-{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode or 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if owned_as is not None:
                _belong(file.fileno(), owned_as)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if last_look is not None:
            last_look()
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _belong(descriptor: int, like: os.stat_result) -> None:
    """A note that a group writes stays that group's: nobody else of it could write it any more."""
    now = os.fstat(descriptor)
    for uid, gid in ((-1, like.st_gid), (like.st_uid, -1)):
        if uid not in (-1, now.st_uid) or gid not in (-1, now.st_gid):
            with suppress(OSError):
                os.fchown(descriptor, uid, gid)


def sweep(folder: Path) -> None:
    """Remove temporary files of those who were killed while they wrote; young ones may be somebody's at work.

    Raises:
        OSError: The folder cannot be read.
    """
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()
