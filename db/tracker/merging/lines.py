"""A note's bytes as lines for comparing two versions: what ends each, which table it stands in, what it is about."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from db.tracker.markdown.blocks import plain
from db.tracker.reading.document import role_of

_END = re.compile(r"\r\n|\r|\n")
_PIPE = re.compile(r"(?<!\\)\|")
_MARK = re.compile(r"[-*+]|\d{1,9}[.)]")
_BOX = re.compile(r"(?P<lead>[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]+\[)(?P<mark>[ xX])(?P<rest>\](?:[ \t].*|))")
_LIST_ITEM = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]")

Key = tuple[str, str]


class Row(NamedTuple):
    """One table line: what opens it (with the first pipe), the raw cells, what closes it (with the last pipe)."""

    lead: str
    cells: tuple[str, ...]
    tail: str

    def text(self) -> str:
        return self.lead + "|".join(self.cells) + self.tail


class Box(NamedTuple):
    """A check box line around the mark between its brackets."""

    lead: str
    mark: str
    rest: str

    @property
    def is_done(self) -> bool:
        return self.mark != " "

    def text(self) -> str:
        return self.lead + self.mark + self.rest


@dataclass
class Text:
    """``ends`` has one a line: a last line without one takes that of the line before, and ``is_closed`` is false.

    Bytes that are not UTF-8 are kept as lone surrogates.
    """

    lines: list[str]
    ends: list[str]
    has_bom: bool
    is_closed: bool

    @classmethod
    def read(cls, data: bytes) -> Text:
        has_bom = data.startswith(codecs.BOM_UTF8)
        text = data[len(codecs.BOM_UTF8) * has_bom :].decode("utf-8", "surrogateescape")
        lines, ends = _END.split(text), _END.findall(text)
        if not lines[-1]:
            lines.pop()
        is_closed = len(lines) == len(ends)
        if not is_closed:
            ends.append(ends[-1] if ends else "\n")
        return cls(lines, ends, has_bom, is_closed)

    def encode(self) -> bytes:
        pieces = [piece for pair in zip(self.lines, self.ends, strict=True) for piece in pair]
        if pieces and not self.is_closed:
            pieces.pop()
        return codecs.BOM_UTF8 * self.has_bom + "".join(pieces).encode("utf-8", "surrogateescape")

    @cached_property
    def headers(self) -> list[int]:
        """For each line the header line of the table it stands in; -1 outside of tables."""
        result = [-1] * len(self.lines)
        header = -1
        for at, line in enumerate(self.lines):
            if "|" not in line:
                header = -1
                continue
            if header < 0 and at + 1 < len(self.lines) and is_delimiter(self.lines[at + 1]):
                header = at
            result[at] = header
        return result

    @cached_property
    def _labels(self) -> dict[int, list[str]]:
        return {}

    @cached_property
    def _name_columns(self) -> dict[int, int]:
        return {}

    def labels(self, header: int) -> list[str]:
        """The names of a table's columns, each once."""
        known = self._labels.get(header)
        if known is None:
            known = []
            for cell in self.row(header).cells:
                name = plain(cell.strip())
                known.append(name if name not in known else f"{name} ({len(known) + 1})")
            self._labels[header] = known
        return known

    def row(self, at: int) -> Row:
        return split_row(self.lines[at], is_header=self.headers[at] == at)

    def box(self, at: int) -> Box | None:
        match = _BOX.fullmatch(self.lines[at])
        return Box(match["lead"], match["mark"], match["rest"]) if match else None

    def is_body_row(self, at: int) -> bool:
        header = self.headers[at]
        return header >= 0 and at > header + 1

    def stands_alone(self, at: int) -> bool:
        """True for a table row or a list item: what is put beside it does not change what it says."""
        return self.is_body_row(at) or _LIST_ITEM.match(self.lines[at]) is not None

    def name(self, at: int) -> str:
        """What a table row is about: its Model cell, else its first."""
        cells = self.row(at).cells
        column = self._name_column(self.headers[at])
        return plain(cells[column].strip()) if column < len(cells) else ""

    def _name_column(self, header: int) -> int:
        column = self._name_columns.get(header)
        if column is None:
            labels = self.labels(header)
            column = next((index for index, label in enumerate(labels) if role_of(label) == "model"), 0)
            self._name_columns[header] = column
        return column

    def key(self, at: int) -> Key:
        """The same for two versions of a line that are about the same thing."""
        header = self.headers[at]
        if header >= 0:
            if at <= header + 1:
                return ("header" if at == header else "delimiter", next(iter(self.labels(header)), ""))
            return ("row", self.name(at).casefold())
        box = self.box(at)
        return ("item", _folded(box.rest)) if box else ("text", _folded(self.lines[at]))


def is_delimiter(line: str) -> bool:
    """True for the line of dashes and colons under a table's header."""
    return "|" in line and "-" in line and not line.strip("|-: \t>")


def split_row(line: str, *, is_header: bool = False) -> Row:
    """A table line at its unescaped pipes; marks of a quotation, and of the list item that a header opens, lead."""
    parts = _PIPE.split(line) if "\\" in line else line.split("|")
    lead, tail = "", ""
    bare = parts[0].strip(" \t>")
    if len(parts) > 1 and (not bare or (is_header and _MARK.fullmatch(bare))):
        lead = parts.pop(0) + "|"
    if len(parts) > 1 and not parts[-1].strip():
        tail = "|" + parts.pop()
    return Row(lead, tuple(parts), tail)


def unique_keys(keys: Sequence[Key]) -> dict[Key, int]:
    """Where each key stands that is there once; blank lines are about nothing."""
    places: dict[Key, int] = {}
    for at, key in enumerate(keys):
        places[key] = -1 if key in places else at
    return {key: at for key, at in places.items() if at >= 0 and key[1]}


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
