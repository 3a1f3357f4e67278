"""Reading a log from its end, whatever its size. Where the runner took out its middle, a line says how much."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 16
_MOST, _LINE = 1 << 24, 1 << 12
"""Bytes of a tail and of each of its lines: a progress bar may write for days without ever ending its line."""


def tail(path: Path, lines: int = 200) -> list[str]:
    """The last lines; a carriage return starts its line over, as a terminal would show progress bars."""
    text, _ = tail_bytes(path, lines)
    return [settled(line) for line in text.decode(errors="replace").removesuffix("\n").split("\n")] if text else []


def tail_bytes(path: Path, lines: int) -> tuple[bytes, int]:
    """The last lines as they are, and the offset where they end."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            if lines < 1:
                return b"", end
            blocks: list[bytes] = []
            found = size = 0
            for block in _backwards(file, end):
                blocks.append(block)
                found, size = found + block.count(b"\n"), size + len(block)
                if found > lines or size > max(_MOST, lines * _LINE):
                    break
    except OSError:
        return b"", 0
    data = b"".join(reversed(blocks))
    kept = data.removesuffix(b"\n").split(b"\n")[-lines:]
    return b"\n".join(kept) + (b"\n" if data.endswith(b"\n") else b""), end


def read_from(path: Path, offset: int, limit: int = 1 << 20) -> tuple[bytes, int]:
    """What was written since ``offset`` (at most ``limit`` bytes), and the new offset; from 0 where it was cut."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            if end < offset:
                offset = 0
            start = _data_from(file, offset, end)
            said = _hole_line(start - offset) if start > offset else b""
            stop = min(_hole_from(file, start, end), start + limit)
            file.seek(start)
            data = file.read(stop - start)
    except OSError:
        return b"", offset
    return said + data, start + len(data)


def _backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The file's blocks from its end on; a hole is one line."""
    ranges = list(data_ranges(file, end))
    later = end
    for start, stop in reversed(ranges):
        if stop < later:
            yield _hole_line(later - stop)
        position = stop
        while position > start:
            step = min(_BLOCK, position - start)
            position -= step
            file.seek(position)
            yield file.read(step)
        later = start
    if later:
        yield _hole_line(later)


def data_ranges(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """From where to where there is data before ``end``; what lies between is a hole."""
    position = 0
    while position < end:
        start = _data_from(file, position, end)
        if start >= end:
            return
        position = _hole_from(file, start, end)
        yield start, position


def _data_from(file: BinaryIO, offset: int, end: int) -> int:
    """Where the next data begins, from ``offset`` on; ``end`` where there is none."""
    if offset >= end:
        return end
    try:
        return min(end, os.lseek(file.fileno(), offset, os.SEEK_DATA))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return end
        return offset  # a file system that does not tell


def _hole_from(file: BinaryIO, offset: int, end: int) -> int:
    if offset >= end:
        return end
    try:
        return min(end, os.lseek(file.fileno(), offset, os.SEEK_HOLE))
    except OSError:
        return end


def hole_text(size: int) -> str:
    """What stands for a hole of so many bytes."""
    shown = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if shown < 1024 or unit == "GiB":
            break
        shown /= 1024
    return f"… {shown:.1f} {unit} left out …"


def _hole_line(size: int) -> bytes:
    return f"\n{hole_text(size)}\n".encode()


def settled(line: str) -> str:
    """What a terminal would show of a line that a progress bar started over and over."""
    return line.rstrip("\r").rsplit("\r", 1)[-1]
