"""Lines of a JSON-lines file, and samples with their ids and places made of what a line says."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.sample import Sample
from backends.data.topic import topic_of

UNSAFE = Path("/dev/null")
"""The ``image_file`` of a sample whose image path leaves the root: reading it gives no image, ever."""
LONGEST_LINE = 64 << 20
"""Bytes; a longer line is no line of a JSON-lines file."""
_PEEK = 200
"""Distinct images that are looked for under each candidate root before the first candidate is taken."""


def json_lines(path: Path, form: str, fault: Fault = raise_fault) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers from 1 and the objects of a JSON-lines file, lazily; blank lines are passed over.

    Args:
        path: The file, UTF-8 with or without byte order mark.
        form: What a line should look like, for the message about one that does not.
        fault: Told of each line that is no JSON object.

    Raises:
        DataError: the file cannot be opened, or a line is too long to be one.
    """
    shown = str(path)
    with open_data_file(path) as file:
        for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            where = f"{shown}:{number}"
            if len(raw) == LONGEST_LINE:
                raise DataError("a line of more than 64 MiB", where, f"{form}, one a line")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                record = json.loads(line) if line else None
            except UnicodeDecodeError:
                fault(DataError("not UTF-8 text", where, "convert the file to UTF-8; is it a .jsonl file?"))
                continue
            except (ValueError, RecursionError) as error:
                fault(DataError(f"not JSON ({error})", where, "mend or remove the line"))
                continue
            if isinstance(record, dict):
                yield number, record
            elif line:
                fault(DataError("not a JSON object", where, f"{form}, one a line"))


def open_data_file(path: Path) -> BinaryIO:
    """Open for reading.

    Raises:
        DataError: it is a folder, or the system says no.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise DataError("is a folder", str(path), "give the .jsonl file in it")
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(error.strerror or str(error), str(path), "check --data") from error


class SampleMaker:
    """Makes samples that share an image root; knows the ids it has given, so that a repeated topic gets its ordinal."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: Counter[str] = Counter()

    def make(
        self,
        name: str,
        question: str,
        reference: str,
        where: str,
        line: int | None,
        *,
        topic: str | None = None,
        category: str | None = None,
        system: str | None = None,
        kind_data: Mapping[str, Any] | None = None,
    ) -> Sample:
        """The sample of the image ``name``; topic and category are taken from question and path where not given.

        Raises:
            DataError: question or answer is empty, or a text is not to be written as UTF-8.
        """
        for what, text in (("question", question), ("answer", reference)):
            if not text or text.isspace():
                raise DataError(f"the {what} is empty", where, "complete or remove the line")
        check_text(where, name, system or "", question, reference, category or "")
        image_file, folder, problem = _place(name, self.root)
        topic = topic or topic_of(question)
        return Sample(
            id=self.id_of(name, topic),
            image_path=name,
            image_file=image_file,
            category=category or folder,
            question=question,
            topic=topic,
            reference=reference,
            system=system,
            problem=problem,
            line=line,
            kind_data=kind_data,
        )

    def id_of(self, name: str, topic: str) -> str:
        """The next free id of this image and topic."""
        key = f"{name}#{topic}"
        self.seen[key] += 1
        return key if self.seen[key] == 1 else f"{key}#{self.seen[key]}"


def check_text(where: str, *texts: str) -> None:
    """Raise :class:`DataError` where a text holds half a character, as JSON escapes and wrong encodings can."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise DataError("holds half a character (a lone surrogate)", where, "mend or remove the line") from error


def check_image_name(name: str, where: str, form: str) -> str:
    """``name``, if it can be a path.

    Raises:
        DataError: it cannot.
    """
    if not name.strip() or "\0" in name:
        raise DataError("the image path is empty or holds a NUL character", where, form)
    return name


def given_root(given: Path) -> Path:
    """The image root a person gave, absolute.

    Raises:
        DataError: it is no folder.
    """
    root = Path(given).expanduser().absolute()
    if not root.is_dir():
        raise DataError("the image root is no folder", str(root), "give the folder where the image paths start")
    return root


def default_roots(path: Path) -> list[Path]:
    """Where image paths start if nobody says: the data file's folder, and its ``images/``."""
    folder = Path(path).expanduser().absolute().parent
    return [folder, folder / "images"]


def find_root(path: Path, names: Iterable[str]) -> Path:
    """Of the two defaults the one that has an image of the file; the folder itself where neither has."""
    candidates = default_roots(path)
    tried: set[str] = set()
    for name in names:
        if name not in tried and leaves_root(name) is None:
            tried.add(name)
            for root in candidates:
                if os.access(root / name, os.R_OK):  # Path.is_file would raise for a name that is too long
                    return root
        if len(tried) >= _PEEK:
            break
    return candidates[0]


def readable_names(
    records: Iterable[tuple[int, dict[str, Any]]], name_of: Callable[[dict[str, Any], str], str]
) -> Iterator[str]:
    """Image names of the lines that have one; what is wrong with the others is said when they are read."""
    for _, record in records:
        try:
            yield name_of(record, "")
        except DataError:
            continue


def leaves_root(image_path: str) -> str | None:
    """Why an image path must not be followed, or None: it is absolute or climbs with ``..``."""
    pure = PurePosixPath(image_path)
    if pure.is_absolute():
        return "is absolute"
    if ".." in pure.parts:
        return "leaves the image root"
    return None


@lru_cache(maxsize=1024)
def _place(name: str, image_root: Path) -> tuple[Path, str | None, str | None]:
    """File, category and problem of an image path; the questions of an image follow one another, so it is cached."""
    folders = [part for part in PurePosixPath(name).parts[:-1] if part not in ("/", "..")]
    category = folders[0] if folders else None
    why = leaves_root(name)
    if why:
        return UNSAFE, category, f"the image path {name} {why}: not read"
    return image_root / name, category, None
