"""Whether the program on disk is still the one that this process was started from. Standard library only."""

from __future__ import annotations

import sys
from pathlib import Path


class Code:
    """The files of ours that this process has read so far.

    Args:
        packages: Top-level packages that count as ours.
    """

    def __init__(self, *packages: str) -> None:
        names = [name for name in tuple(sys.modules) if name.partition(".")[0] in packages]
        files = {getattr(sys.modules.get(name), "__file__", None) for name in names}
        self._stamps = {file: _stamp(file) for file in files if file}

    def replaced(self) -> bool:
        """One of them was changed, replaced or removed since."""
        return any(_stamp(file) != stamp for file, stamp in self._stamps.items())


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
