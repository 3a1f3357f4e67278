"""Looking for a text in a log of any size: block by block from where one stands, and to be stopped at any time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fada_tui.sources.logfile import Block, LogLine, blocks_back, blocks_on, size_of

_PLAIN = re.compile(r"[A-Za-z0-9_.:=/-]+")


@dataclass(frozen=True)
class Needle:
    """What is looked for: the text as it is shown; capitals count only where it has some."""

    text: str

    @property
    def exact(self) -> bool:
        return self.text != self.text.lower()

    def places(self, line: str) -> list[tuple[int, int]]:
        """From where to where it stands in a line, none twice."""
        if not self.text:
            return []
        flags = 0 if self.exact else re.IGNORECASE
        return [match.span() for match in re.finditer(re.escape(self.text), line, flags)]

    @property
    def sure(self) -> bytes:
        """Its longest part that is the same in the file as on the screen: a block without it is not looked at."""
        found = max(_PLAIN.findall(self.text), key=len, default="")
        return (found if self.exact else found.lower()).encode()


def search(path: Path, needle: Needle, start: int, *, older: bool, seen: Callable[[int], bool]) -> int | None:
    """Where the nearest line begins that has it, among those that begin before (``older``) or after ``start``.

    Args:
        seen: Called with the bytes read so far; the search ends where it answers False.

    Raises:
        OSError: The log cannot be read.
    """
    read = 0
    sure = needle.sure
    with open(path, "rb") as file:
        end = size_of(file)
        for block in blocks_back(file, min(start, end)) if older else blocks_on(file, min(start, end)):
            found = _in_block(block, needle, sure, start, older)
            if found is not None:
                return found.start
            read += len(block.data or b"")
            if not seen(read):
                return None
    return None


def _in_block(block: Block, needle: Needle, sure: bytes, start: int, older: bool) -> LogLine | None:
    data = block.data
    if data is None or (sure and sure not in (data if needle.exact else data.lower())):
        return None
    lines = block.lines()
    for line in reversed(lines) if older else lines:
        if (line.start < start if older else line.start > start) and needle.places(line.text):
            return line
    return None
