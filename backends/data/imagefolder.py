"""Read a Hugging Face ImageFolder: a folder of images with ``metadata.jsonl`` or ``metadata.csv`` beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.records import SampleMaker, check_image_name, given_root, json_lines, open_data_file
from backends.data.sample import Sample

METADATA = ("metadata.jsonl", "metadata.csv")
FORM = "expected columns file_name, question, answer (or text, caption, label), category"
QUESTION = "What does this image show?"
"""Asked where there is no column ``question``, as with captions and labels."""
_ANSWERS = ("answer", "text", "caption", "label")


def read_imagefolder(path: Path, image_root: Path | None = None, fault: Fault = raise_fault) -> Iterator[Sample]:
    """The samples of a metadata file in its order, lazily. Image names start at its folder unless a root is given.

    Raises:
        DataError: no such file, no sample in it, or (while iterating) a line that is not one sample.
    """
    maker = SampleMaker(given_root(image_root) if image_root else Path(path).expanduser().absolute().parent)
    rows = csv_rows(path, fault) if path.suffix.lower() == ".csv" else json_lines(path, FORM, fault)
    for number, row in rows:
        try:
            yield _sample(row, f"{path}:{number}", number, maker)
        except DataError as error:
            fault(error)
    if not maker.seen:
        raise DataError("no samples in the file", str(path), FORM)


def csv_rows(path: Path, fault: Fault = raise_fault) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers, from 1 and counted where a row begins, and the rows of a CSV file with a header, lazily.

    Raises:
        DataError: the file cannot be opened, or has no column ``file_name``.
    """
    with open_data_file(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if "file_name" not in header:
            raise DataError("no column file_name", f"{path}:1", FORM)
        while True:
            begins = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault(DataError(f"not CSV ({error})", f"{path}:{begins}", "mend or remove the row"))
                continue
            if len(cells) == len(header):
                yield begins, dict(zip(header, cells, strict=True))
            elif cells:
                words = f"{len(cells)} cells where the header has {len(header)}"
                fault(DataError(words, f"{path}:{begins}", "mend or remove the row"))


def _sample(row: dict[str, Any], where: str, line: int, maker: SampleMaker) -> Sample:
    name = _cell(row, "file_name", where)
    answer = next((text for column in _ANSWERS if (text := _cell(row, column, where))), "")
    return maker.make(
        check_image_name(name, where, FORM),
        _cell(row, "question", where) or QUESTION,
        answer,
        where,
        line,
        category=_cell(row, "category", where) or None,
    )


def _cell(row: dict[str, Any], column: str, where: str) -> str:
    """A text; a number is one too (class labels), a missing or empty cell is ``""``."""
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float):
        return str(value)
    raise DataError(f'"{column}" is no text', where, FORM)
