"""The part of a log that is looked at: a window of lines that follows its end, or stands anywhere in it.

All reading is done in one thread; the screen asks, and is handed frozen windows.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fada_tui.sources.logfile import Block, LogLine, blocks_back, blocks_on, size_of

PERIOD_S = 0.4
PAGE = 1 << 16
"""Bytes that are read at once."""
PAGES = 8
"""So many of them are kept."""


@dataclass(frozen=True)
class Window:
    """The lines of bytes ``start`` to ``end`` of a log that has ``size``; ``target`` is a line that was asked for."""

    lines: tuple[LogLine, ...] = ()
    start: int = 0
    end: int = 0
    size: int = 0
    following: bool = True
    target: int | None = None


@dataclass(frozen=True)
class _Page:
    lines: tuple[LogLine, ...]
    start: int
    end: int
    whole: bool
    """Whether its last line is finished."""


Request = Callable[[BinaryIO], int | None]


class LogReader:
    """Its :meth:`run` belongs into a thread; what is asked of it is done there, in order.

    Args:
        path: The log; one that is not there yet is waited for.
        post: Thread-safe: is handed each new window.
    """

    def __init__(self, path: Path, post: Callable[[Window], object]) -> None:
        self._path = path
        self._post = post
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._pages: list[_Page] = []
        self._following = True
        self._sent = Window()

    def stop(self) -> None:
        self._requests.put(None)

    def tail(self) -> None:
        """Go to the end, and stay there while it grows."""
        self._requests.put(self._to_tail)

    def stay(self) -> None:
        """Stay here while it grows."""
        self._requests.put(self._to_stay)

    def go(self, offset: int) -> None:
        """Have the line in sight that begins at a byte."""
        self._requests.put(lambda file: self._to(file, offset))

    def older(self) -> None:
        """More lines before those that are there."""
        self._requests.put(self._more_before)

    def newer(self) -> None:
        """More lines after those that are there."""
        self._requests.put(self._more_after)

    def run(self) -> None:
        """Until :meth:`stop`."""
        self.tail()
        while True:
            try:
                request = self._requests.get(timeout=PERIOD_S)
            except queue.Empty:
                request = self._grow
            if request is None:
                return
            try:
                with open(self._path, "rb") as file:
                    self._send(request(file), size_of(file))
            except OSError:
                continue

    def _send(self, target: int | None, size: int) -> None:
        lines = tuple(line for page in self._pages for line in page.lines)
        start, end = (self._pages[0].start, self._pages[-1].end) if self._pages else (0, 0)
        window = Window(lines, start, end, size, self._following, target)
        if window != self._sent or target is not None:
            self._sent = window
            self._post(window)

    # Requests

    def _to_tail(self, file: BinaryIO) -> None:
        self._following = True
        self._grow(file)

    def _to_stay(self, file: BinaryIO) -> None:
        self._following = False

    def _to(self, file: BinaryIO, offset: int) -> int:
        self._following = False
        if not (self._pages and self._pages[0].start <= offset < self._pages[-1].end):
            self._pages = []
            self._before(file, offset)
            self._after(file, offset)
        return offset

    def _more_before(self, file: BinaryIO) -> None:
        if self._pages and len(self._pages) < PAGES:
            self._before(file, self._pages[0].start)
        elif self._pages and not self._following:
            self._before(file, self._pages[0].start)
            del self._pages[PAGES:]

    def _more_after(self, file: BinaryIO) -> None:
        if self._pages:
            self._after(file, self._pages[-1].end)
            del self._pages[:-PAGES]

    def _grow(self, file: BinaryIO) -> None:
        """Read what was written since, or the end alone where that is much."""
        if not self._following:
            return
        size = size_of(file)
        if not self._pages or not 0 <= size - self._pages[-1].end < PAGE * PAGES:
            self._pages = []
            self._before(file, size)
        while self._pages and self._pages[-1].end < size and self._after(file, self._pages[-1].end):
            del self._pages[:-PAGES]

    # Pages

    def _before(self, file: BinaryIO, end: int) -> bool:
        page = _first_page(blocks_back(file, end, PAGE))
        if page is not None:
            self._pages.insert(0, page)
        return page is not None

    def _after(self, file: BinaryIO, start: int) -> bool:
        """One page more at the end. A line that was unfinished there is read once more, with what it has become."""
        last = self._pages[-1] if self._pages else None
        if last is not None and not last.whole and last.start < last.lines[-1].start:
            start = last.lines[-1].start
            self._pages[-1] = last = _Page(last.lines[:-1], last.start, start, True)
        elif last is not None and not last.whole and last.end - last.start < PAGE:
            start, last = last.start, None
            self._pages.pop()
        page = _first_page(blocks_on(file, start, PAGE))
        if page is None:
            return False
        if last is not None and page.end - last.start <= PAGE:
            self._pages.pop()
            page = _Page(last.lines + page.lines, last.start, page.end, page.whole)
        self._pages.append(page)
        return True


def _first_page(blocks: Iterator[Block]) -> _Page | None:
    block = next(blocks, None)
    if block is None:
        return None
    whole = block.data is None or block.data.endswith(b"\n")
    return _Page(tuple(block.lines()), block.start, block.end, whole)
