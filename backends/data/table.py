"""Tab-separated tables with huge cells: read row by row, and single cells read again later by where they lie."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.records import open_data_file

LARGEST_CELL = 256 << 20
"""Characters. An unbalanced quote would make one cell of the rest of the file."""


@dataclass(frozen=True)
class Row:
    """One row: ``line`` is where it begins, from 1; ``offset`` and ``length`` are in bytes."""

    line: int
    offset: int
    length: int
    cells: dict[str, str]


def read_header(path: Path) -> list[str]:
    """The column names.

    Raises:
        DataError: the file cannot be opened.
    """
    with open_data_file(path) as file:
        return next(_Lines(file).rows(), [])


def read_rows(path: Path, fault: Fault = raise_fault) -> Iterator[Row]:
    """The rows below the header, lazily: one is held at a time. A row of another width is a fault.

    Raises:
        DataError: the file cannot be opened.
    """
    with open_data_file(path) as file:
        lines = _Lines(file)
        rows = lines.rows()
        header = next(rows, [])
        while True:
            offset, line = lines.position, lines.count + 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                fault(DataError(f"not a table ({error})", f"{path}:{line}", "mend or remove the row"))
                rows = lines.rows()
                continue
            if len(cells) == len(header):
                yield Row(line, offset, lines.position - offset, dict(zip(header, cells, strict=True)))
            elif cells:
                words = f"{len(cells)} cells where the header has {len(header)}"
                fault(DataError(words, f"{path}:{line}", "mend or remove the row"))


def read_cell(path: Path, offset: int, length: int, column: int) -> str:
    """One cell of the row that lies there.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is no such cell: the file is not the one that was read before.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        data = io.BytesIO(file.read(length))
    try:
        return next(_Lines(data).rows())[column]
    except (csv.Error, StopIteration, IndexError) as error:
        raise ValueError(f"{path}: no row at byte {offset}: the file has changed") from error


class _Lines:
    """Counts the lines and bytes that a CSV reader has taken."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0
        self.count = 0

    def rows(self) -> Iterator[list[str]]:
        return _reader(self._text())

    def _text(self) -> Iterator[str]:
        for raw in self._file:
            self.position += len(raw)
            self.count += 1
            yield raw.decode("utf-8-sig" if self.count == 1 else "utf-8", "surrogateescape")


def _reader(lines: Iterator[str]) -> Iterator[list[str]]:
    csv.field_size_limit(LARGEST_CELL)  # of the whole process: never lowered again, a reader may be in a long cell
    return csv.reader(lines, "excel-tab")
