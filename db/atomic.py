"""Replacing a file whole or not at all. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(target: Path, data: bytes, mode: int | None = None) -> None:
    """Write a temporary file beside ``target``, flush it to the disk, rename it, and flush the folder.

    Args:
        mode: Permission bits of the new file; None: as the process makes files.

    Raises:
        OSError: What stood there is as it was.
    """
    temporary = target.with_name(f".fada-{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode or 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
