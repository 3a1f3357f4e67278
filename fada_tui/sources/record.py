"""Telemetry in a file: a header, then a sample a line, so that a night can be looked at again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from backends.telemetry.codec import from_dict, to_compact
from backends.telemetry.sample import Telemetry
from fada_tui.cli.errors import UsageError

FORMAT = "fada-telemetry"
VERSION = 1


@dataclass(frozen=True)
class Record:
    """What a file holds, oldest first."""

    samples: tuple[Telemetry, ...]
    torn: int = 0
    """Lines that are no samples: the end of a record that was cut off."""


def write_header(file: IO[str]) -> None:
    file.write(json.dumps({"format": FORMAT, "version": VERSION, "created": round(time.time(), 3)}) + "\n")


def write_sample(file: IO[str], sample: Telemetry) -> None:
    write_document(file, to_compact(sample))


def write_document(file: IO[str], document: dict[str, Any]) -> None:
    file.write(json.dumps(document, separators=(",", ":")) + "\n")
    file.flush()


def open_record(path: Path) -> IO[str]:
    """A file to record into; one that is a record already is gone on with.

    Raises:
        UsageError: It is another kind of file, or cannot be written.
    """
    try:
        if path.exists() and path.stat().st_size:
            with open(path, encoding="utf-8", errors="replace") as file:
                _check_header(file.readline(), path)
            _end_torn_line(path)
            return open(path, "a", encoding="utf-8")
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", str(path), "name another file") from error
    write_header(file)
    return file


def read_record(path: Path) -> Record:
    """Every sample of a file.

    Raises:
        UsageError: It is no record, of a newer version, or empty.
    """
    samples: list[Telemetry] = []
    torn = 0
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            _check_header(file.readline(), path)
            for sample in _samples(file):
                if sample is None:
                    torn += 1
                else:
                    samples.append(sample)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", str(path), "`fada gpu --record FILE` makes one"
        ) from error
    if not samples:
        raise UsageError("there is no sample in it", str(path), "`fada gpu --record FILE` records until Ctrl+C")
    return Record(tuple(sorted(samples, key=lambda sample: sample.time)), torn)


def _samples(file: IO[str]) -> Iterator[Telemetry | None]:
    for line in file:
        if not line.strip():
            continue
        try:
            yield from_dict(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            yield None


def _check_header(line: str, path: Path) -> None:
    try:
        header = json.loads(line)
        form, version = header["format"], header["version"]
    except (ValueError, KeyError, TypeError):
        form, version = None, None
    if form != FORMAT or not isinstance(version, int):
        raise UsageError("is no record of telemetry", f"{path}:1", "`fada gpu --record FILE` makes one")
    if version > VERSION:
        raise UsageError(
            f"written by a newer version of fada-tui (record version {version})", f"{path}:1", "update fada-tui"
        )


def _end_torn_line(path: Path) -> None:
    from backends.jobs.files import end_torn_line

    end_torn_line(path)
