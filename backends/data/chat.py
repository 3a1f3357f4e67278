"""Read question-answer files line by line: FADA's chat form and its ShareGPT variant, told apart a line at a time."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from backends.data.errors import DataError
from backends.data.sample import Sample
from backends.data.topic import topic_of

__all__ = ["DataError", "chat_form", "read_chat", "resolve_image_root"]

_FORM = 'expected {"messages": [system, user, assistant], "images": ["Category/name.png"]}'
_PEEK = 200
"""Distinct images that are looked for under each candidate root before the first candidate is taken."""
UNSAFE = Path("/dev/null")
"""The ``image_file`` of a sample whose image path leaves the root: reading it gives no image, ever."""


def read_chat(path: Path, image_root: Path | None = None) -> Iterator[Sample]:
    """The samples of a data file in its order, lazily; the file is never held in memory.

    Images are not opened. A sample whose image path leaves the image root has its ``problem`` set and no readable file.

    Raises:
        DataError: no such file, a directory, no sample in it, or (while iterating) a line that is not one sample.
    """
    root = resolve_image_root(path, image_root)
    seen: Counter[str] = Counter()
    shown = str(path)
    for number, record in _records(path):
        yield _sample(record, f"{shown}:{number}", number, root, seen)
    if not seen:
        raise _nothing(path)


def resolve_image_root(path: Path, given: Path | None = None) -> Path:
    """Where the image paths of ``path`` start: ``given``, else the file's folder, else its ``images/``.

    Of the two defaults the one is taken that has an image of the file; the folder itself where neither has.

    Raises:
        DataError: ``given`` is no folder, or the data file cannot be read.
    """
    if given is not None:
        root = Path(given).expanduser().absolute()
        if not root.is_dir():
            raise DataError("the image root is no folder", str(root), "give the folder where the image paths start")
        return root
    candidates = default_roots(path)
    names: set[str] = set()
    for number, record in _records(path):
        name = _image_name(record, f"{path}:{number}")
        if name not in names and leaves_root(name) is None:
            names.add(name)
            for root in candidates:
                if os.access(root / name, os.R_OK):  # Path.is_file would raise for a name that is too long
                    return root
        if len(names) >= _PEEK:
            break
    return candidates[0]


def default_roots(path: Path) -> list[Path]:
    folder = Path(path).expanduser().absolute().parent
    return [folder, folder / "images"]


def chat_form(path: Path) -> str:
    """``chat`` or ``sharegpt``, from the first line.

    Raises:
        DataError: as :func:`read_chat`.
    """
    for _, record in _records(path):
        return "sharegpt" if "conversations" in record else "chat"
    raise _nothing(path)


def _nothing(path: Path) -> DataError:
    return DataError("no samples in the file", str(path), f"{_FORM}, one a line")


def leaves_root(image_path: str) -> str | None:
    """Why an image path must not be followed, or None: it is absolute or climbs with ``..``."""
    pure = PurePosixPath(image_path)
    if pure.is_absolute():
        return "is absolute"
    if ".." in pure.parts:
        return "leaves the image root"
    return None


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    path = Path(path).expanduser()
    shown = str(path)
    with _open(path) as file:
        for number, raw in enumerate(file, 1):
            where = f"{shown}:{number}"
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                record = json.loads(line) if line else None
            except UnicodeDecodeError as error:
                raise DataError("not UTF-8 text", where, "convert the file to UTF-8; is it a .jsonl file?") from error
            except (ValueError, RecursionError) as error:
                raise DataError(f"not JSON ({error})", where, "mend or remove the line") from error
            if not line:
                continue
            if not isinstance(record, dict):
                raise DataError("not a JSON object", where, f"{_FORM}, one a line")
            yield number, record


def _open(path: Path) -> BinaryIO:
    if path.is_dir():
        raise DataError("is a folder", str(path), "give the .jsonl file in it")
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(error.strerror or str(error), str(path), "check --data") from error


def _sample(record: dict[str, Any], where: str, line: int, image_root: Path, seen: Counter[str]) -> Sample:
    """One sample; ``seen`` counts the ids, so that a repeated topic gets its ordinal."""
    name = _image_name(record, where)
    if "conversations" in record:
        system, question, reference = _turns(record["conversations"], where, _SHAREGPT)
        question = question.replace("<image>", "").strip()
    else:
        system, question, reference = _turns(record.get("messages"), where, _CHAT)
    for what, text in (("question", question), ("answer", reference)):
        if not text or text.isspace():
            raise DataError(f"the {what} is empty", where, "complete or remove the line")
    try:
        "".join((name, system or "", question, reference)).encode()
    except UnicodeEncodeError as error:
        raise DataError("holds half a character (a lone surrogate)", where, "mend or remove the line") from error
    image_file, category, problem = _place(name, image_root)
    topic = topic_of(question)
    key = f"{name}#{topic}"
    seen[key] += 1
    return Sample(
        id=key if seen[key] == 1 else f"{key}#{seen[key]}",
        image_path=name,
        image_file=image_file,
        category=category,
        question=question,
        topic=topic,
        reference=reference,
        system=system,
        problem=problem,
        line=line,
    )


@lru_cache(maxsize=1024)
def _place(name: str, image_root: Path) -> tuple[Path, str | None, str | None]:
    """File, category and problem of an image path; the questions of an image follow one another, so it is cached."""
    folders = [part for part in PurePosixPath(name).parts[:-1] if part not in ("/", "..")]
    category = folders[0] if folders else None
    why = leaves_root(name)
    if why:
        return UNSAFE, category, f"the image path {name} {why}: not read"
    return image_root / name, category, None


def _image_name(record: dict[str, Any], where: str) -> str:
    images = record.get("images", record.get("image"))
    if isinstance(images, str):
        images = [images]
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], str):
        raise DataError('"images" is not a list of one path', where, _FORM)
    name = images[0]
    if not name.strip() or "\0" in name:
        raise DataError("the image path is empty or holds a NUL character", where, _FORM)
    return name


# Keys of a turn's role and text, and what the roles are called.
_CHAT = ("role", "content", {"system": "system", "user": "user", "assistant": "assistant"})
_SHAREGPT = ("from", "value", {"system": "system", "human": "user", "user": "user", "gpt": "assistant"})


def _turns(turns: Any, where: str, form: tuple[str, str, dict[str, str]]) -> tuple[str | None, str, str]:
    """System text, question and answer of a conversation of one question."""
    role_key, text_key, roles = form
    if not isinstance(turns, list):
        raise DataError('neither a list "messages" nor "conversations"', where, _FORM)
    said: dict[str, str] = {}
    order: list[str] = []
    for turn in turns:
        role = roles.get(str(turn.get(role_key))) if isinstance(turn, dict) else None
        if role is None:
            raise DataError(f"a turn without a known {role_key!r}", where, f"known: {', '.join(roles)}")
        order.append(role)
        said[role] = _text(turn.get(text_key), where)
    if order not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise DataError(f"the turns are {', '.join(order) or 'none'}", where, "one question and its answer a line")
    return said.get("system"), said["user"], said["assistant"]


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise DataError("a message without text", where, _FORM)
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind != "image":
            raise DataError("a content part that is neither image nor text", where, _FORM)
    return "\n".join(texts)
