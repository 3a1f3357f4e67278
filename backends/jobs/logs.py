"""Reading a log from its end, whatever its size."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 1 << 16


def tail(path: Path, lines: int = 200) -> list[str]:
    """The last lines; a carriage return starts its line over, as a terminal would show progress bars."""
    text, _ = tail_bytes(path, lines)
    return [_settle(line) for line in text.decode(errors="replace").removesuffix("\n").split("\n")] if text else []


def tail_bytes(path: Path, lines: int) -> tuple[bytes, int]:
    """The last lines as they are, and the offset where they end."""
    try:
        with open(path, "rb") as file:
            end = position = file.seek(0, os.SEEK_END)
            data = b""
            while position and data.count(b"\n") <= lines:
                step = min(_BLOCK, position)
                position -= step
                file.seek(position)
                data = file.read(step) + data
    except OSError:
        return b"", 0
    if lines < 1:
        return b"", end
    kept = data.removesuffix(b"\n").split(b"\n")[-lines:]
    return b"\n".join(kept) + (b"\n" if data.endswith(b"\n") else b""), end


def read_from(path: Path, offset: int, limit: int = 1 << 20) -> tuple[bytes, int]:
    """What was written since ``offset`` (at most ``limit`` bytes), and the new offset; from 0 where it was cut."""
    try:
        with open(path, "rb") as file:
            if file.seek(0, os.SEEK_END) < offset:
                offset = 0
            file.seek(offset)
            data = file.read(limit)
    except OSError:
        return b"", offset
    return data, offset + len(data)


def _settle(line: str) -> str:
    return line.rstrip("\r").rsplit("\r", 1)[-1]
