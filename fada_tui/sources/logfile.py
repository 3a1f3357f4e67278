"""A log in blocks of whole lines, from any place in it and in both directions: only what is asked for is read.

Holes (where the runner gave the middle of a large log back to the disk) are blocks of their own. A line longer than
a block comes in pieces.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from backends.jobs.logs import data_ranges, hole_text, settled
from fada_tui.text import printable

BLOCK = 1 << 20
SHOWN = 20_000
"""Characters of a line that are shown."""


@dataclass(frozen=True)
class LogLine:
    """One line as it is shown, and the byte where it begins."""

    start: int
    text: str


@dataclass(frozen=True)
class Block:
    """Bytes ``start`` to ``end`` of the file; ``data`` is None for a hole."""

    start: int
    end: int
    data: bytes | None

    def lines(self) -> list[LogLine]:
        """Its lines, made safe to show; the last may be unfinished."""
        if self.data is None:
            return [LogLine(self.start, hole_text(self.end - self.start))]
        found, at = [], self.start
        for raw in self.data.removesuffix(b"\n").split(b"\n"):
            found.append(LogLine(at, _shown(raw)))
            at += len(raw) + 1
        return found


def _shown(raw: bytes) -> str:
    text = settled(raw.decode(errors="replace"))
    if len(text) > SHOWN:
        return printable(text[:SHOWN]) + f" … {len(text) - SHOWN:,} more characters"
    return printable(text)


def size_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def blocks_back(file: BinaryIO, end: int, size: int = BLOCK) -> Iterator[Block]:
    """The blocks before ``end``, the last one first."""
    later = end
    for start, stop in reversed(list(data_ranges(file, end))):
        if stop < later:
            yield Block(stop, later, None)
        at = stop
        while at > start:
            low = max(start, at - size)
            data = _read(file, low, at)
            cut = data.find(b"\n") + 1 if low > start else 0
            if cut < len(data):
                low, data = low + cut, data[cut:]
            yield Block(low, at, data)
            at = low
        later = start
    if later:
        yield Block(0, later, None)


def blocks_on(file: BinaryIO, start: int, size: int = BLOCK) -> Iterator[Block]:
    """The blocks from ``start``, where a line begins, to the end of the file as it is now."""
    at = start
    end = size_of(file)
    for first, stop in data_ranges(file, end):
        if stop <= at:
            continue
        if first > at:
            yield Block(at, first, None)
            at = first
        while at < stop:
            high = min(stop, at + size)
            data = _read(file, at, high)
            cut = data.rfind(b"\n") + 1 if high < stop else 0
            if cut:
                high, data = at + cut, data[:cut]
            yield Block(at, high, data)
            at = high
    if at < end:
        yield Block(at, end, None)


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
