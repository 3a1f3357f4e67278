"""Keeping a log small on the disk while others write to it: a hole is punched in its middle. Standard library only.

Writers hold O_APPEND descriptors on the file, so it can be neither cut nor replaced; a hole gives the blocks back
and leaves every offset as it was. The head (how it began) and the tail (what it says now) stay.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_BLOCK = 4096


def cap(path: Path, limit: int) -> int:
    """Punch where the file takes more than ``limit`` bytes on the disk: a quarter stays as head, half as tail.

    Returns:
        Bytes given back; 0 where it was small enough.

    Raises:
        OSError: The file system cannot punch holes, or the file is not there.
    """
    status = path.stat()
    if status.st_blocks * 512 <= limit:
        return 0
    start = _up(limit // 4)
    end = (status.st_size - limit // 2) // _BLOCK * _BLOCK
    if end <= start:
        return 0
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _punch(descriptor, start, end - start)
    finally:
        os.close(descriptor)
    return max(0, (status.st_blocks - path.stat().st_blocks) * 512)


def _up(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _punch(descriptor: int, start: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or libc.fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, length) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
