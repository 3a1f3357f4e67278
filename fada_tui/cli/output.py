"""Printing: people get aligned text, programs one JSON document on standard output and nothing else there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fada_tui.cli.errors import CommandError
from fada_tui.text import printable


def print_json(document: Any) -> None:
    r"""One document. The bytes of a path that is not UTF-8 are lone surrogates, written as ``\udcXX`` escapes."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def print_text(text: str) -> None:
    sys.stdout.write(text + "\n")


def print_error(error: CommandError, *, as_json: bool) -> None:
    if as_json:
        told = {"message": error.message, "where": error.where, "hint": error.hint}
        print_json({"error": told | ({"details": list(error.details)} if error.details else {})})
    where = f"{printable(error.where)}: " if error.where else ""
    sys.stderr.write(f"fada: {where}{printable(error.message)}\n")
    for place in error.details:
        sys.stderr.write(f"      {printable(place)}\n")
    if error.hint:
        sys.stderr.write(f"      {printable(error.hint)}\n")


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Iterable[int] = (),
    limits: Mapping[int, int] | None = None,
) -> str:
    """Columns padded to their widest cell (in terminal cells).

    Args:
        right: Right-aligned columns, by index.
        limits: The most cells that a column may take, by index; longer texts end in an ellipsis.
    """
    from rich.cells import cell_len

    most = limits or {}
    cells = [
        [_elide(printable("" if value is None else str(value)), most.get(column)) for column, value in enumerate(row)]
        for row in rows
    ]
    grid = [list(header), *cells]
    widths = [max(cell_len(row[column]) for row in grid) for column in range(len(header))]
    aligned = set(right)

    def line(row: list[str]) -> str:
        padded = []
        for column, text in enumerate(row):
            space = " " * (widths[column] - cell_len(text))
            padded.append(space + text if column in aligned else text + space)
        return "  ".join(padded).rstrip()

    return "\n".join(line(row) for row in grid)


def _elide(text: str, limit: int | None) -> str:
    from rich.cells import cell_len, set_cell_size

    return text if limit is None or cell_len(text) <= limit else set_cell_size(text, limit - 1).rstrip() + "…"


def silence_broken_pipe() -> None:
    """After `fada jobs | head`: nothing more can be written, and Python must not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
