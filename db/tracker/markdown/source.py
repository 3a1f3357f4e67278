"""The text of a note by lines and columns, and patches on it that can be taken back."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from db.tracker.errors import NoteError

_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Patch:
    """Replace ``before`` by ``after`` at a 0-based line and column (characters; a byte order mark is not counted)."""

    line: int
    column: int
    before: str
    after: str

    def reversed(self) -> Patch:
        return Patch(self.line, self.column, self.after, self.before)


@dataclass(frozen=True)
class Source:
    """A decoded note. ``text`` has no byte order mark; ``has_bom`` says whether the bytes had one."""

    text: str
    has_bom: bool

    @classmethod
    def decode(cls, data: bytes, name: str) -> Source:
        """Text from bytes; :meth:`encode` gives the same bytes back.

        Raises:
            NoteError: The bytes are not UTF-8; ``where`` names the line.
        """
        has_bom = data.startswith(codecs.BOM_UTF8)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = len(_NEWLINE.findall(data[: error.start].decode("utf-8"))) + 1
            byte = data[error.start]
            raise NoteError(
                f"not UTF-8: byte 0x{byte:02x} at offset {error.start}", f"{name}:{line}", "save the note as UTF-8"
            ) from error
        return cls(text[1:] if has_bom else text, has_bom)

    def encode(self) -> bytes:
        return (codecs.BOM_UTF8 if self.has_bom else b"") + self.text.encode("utf-8")

    @cached_property
    def lines(self) -> list[str]:
        r"""The lines without their ends. ``\r\n``, ``\n`` and a lone ``\r`` end a line, as in CommonMark."""
        end = self._line_end
        return self.text.split(end) if end else _NEWLINE.split(self.text)

    @cached_property
    def starts(self) -> list[int]:
        """The offset of each line in :attr:`text`."""
        end = self._line_end
        if end:
            # Adding lengths up takes a third of the time of looking for the ends once more.
            return list(accumulate((len(line) + len(end) for line in self.lines[:-1]), initial=0))
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    @cached_property
    def _line_end(self) -> str | None:
        """The one line end of the text, or None where it has several kinds."""
        returns = self.text.count("\r")
        if not returns:
            return "\n"
        return "\r\n" if returns == self.text.count("\r\n") == self.text.count("\n") else None

    def patched(self, patches: Iterable[Patch]) -> Source:
        """A new text with the patches made one after the other, each in the text that the one before left.

        Raises:
            ValueError: A patch does not find what it should replace.
        """
        source = self
        for patch in patches:
            if patch.line >= len(source.starts):
                raise ValueError(f"the note has no line {patch.line + 1}")
            at = source.starts[patch.line] + patch.column
            if not source.text.startswith(patch.before, at):
                raise ValueError(f"line {patch.line + 1} does not hold {patch.before!r} at column {patch.column + 1}")
            text = source.text[:at] + patch.after + source.text[at + len(patch.before) :]
            source = Source(text, source.has_bom)
        return source
