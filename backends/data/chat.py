"""Read question-answer files line by line: FADA's chat form and its ShareGPT variant, told apart a line at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.records import (
    SampleMaker,
    check_image_name,
    default_roots,
    find_root,
    given_root,
    json_lines,
    leaves_root,
    readable_names,
)
from backends.data.sample import Sample

__all__ = ["DataError", "chat_form", "default_roots", "leaves_root", "read_chat", "resolve_image_root"]

FORM = 'expected {"messages": [system, user, assistant], "images": ["Category/name.png"]}'


def read_chat(path: Path, image_root: Path | None = None, fault: Fault = raise_fault) -> Iterator[Sample]:
    """The samples of a data file in its order, lazily; the file is never held in memory.

    Images are not opened. A sample whose image path leaves the image root has its ``problem`` set and no readable file.
    A line with several questions and answers gives as many samples; each is asked alone, without the earlier turns.

    Raises:
        DataError: no such file, a directory, no sample in it, or (while iterating) a line that is not one sample.
    """
    maker = SampleMaker(resolve_image_root(path, image_root))
    for number, record in json_lines(path, FORM, fault):
        try:
            yield from _samples(record, f"{path}:{number}", number, maker)
        except DataError as error:
            fault(error)
    if not maker.seen:
        raise nothing_in(path)


def resolve_image_root(path: Path, given: Path | None = None) -> Path:
    """Where the image paths of ``path`` start: ``given``, else the file's folder, else its ``images/``.

    Of the two defaults the one is taken that has an image of the file; the folder itself where neither has.

    Raises:
        DataError: ``given`` is no folder, or the data file cannot be read.
    """
    if given is not None:
        return given_root(given)
    return find_root(path, readable_names(json_lines(path, FORM, lambda error: None), _image_name))


def chat_form(path: Path) -> str:
    """``chat`` or ``sharegpt``, from the first line.

    Raises:
        DataError: as :func:`read_chat`.
    """
    for _, record in json_lines(path, FORM):
        return "sharegpt" if "conversations" in record else "chat"
    raise nothing_in(path)


def nothing_in(path: Path, form: str = FORM) -> DataError:
    """The error for a file without a single sample."""
    return DataError("no samples in the file", str(path), f"{form}, one a line")


def _samples(record: dict[str, Any], where: str, line: int, maker: SampleMaker) -> list[Sample]:
    name = _image_name(record, where)
    if "conversations" in record:
        system, pairs = _turns(record["conversations"], where, _SHAREGPT)
        pairs = [(question.replace("<image>", "").strip(), answer) for question, answer in pairs]
    else:
        system, pairs = _turns(record.get("messages"), where, _CHAT)
    return [maker.make(name, question, answer, where, line, system=system) for question, answer in pairs]


def _image_name(record: dict[str, Any], where: str) -> str:
    images = record.get("images", record.get("image"))
    if isinstance(images, str):
        images = [images]
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], str):
        raise DataError('"images" is not a list of one path', where, FORM)
    return check_image_name(images[0], where, FORM)


# Keys of a turn's role and text, and what the roles are called.
_CHAT = ("role", "content", {"system": "system", "user": "user", "assistant": "assistant"})
_SHAREGPT = ("from", "value", {"system": "system", "human": "user", "user": "user", "gpt": "assistant"})


def _turns(turns: Any, where: str, form: tuple[str, str, dict[str, str]]) -> tuple[str | None, list[tuple[str, str]]]:
    """System text, and the questions with their answers."""
    role_key, text_key, roles = form
    if not isinstance(turns, list):
        raise DataError('neither a list "messages" nor "conversations"', where, FORM)
    said: list[tuple[str, str]] = []
    for turn in turns:
        role = roles.get(str(turn.get(role_key))) if isinstance(turn, dict) else None
        if role is None:
            raise DataError(f"a turn without a known {role_key!r}", where, f"known: {', '.join(roles)}")
        said.append((role, _text(turn.get(text_key), where)))
    order = [role for role, _ in said]
    first = 1 if order[:1] == ["system"] else 0
    asked = said[first:]
    if not asked or order[first:] != ["user", "assistant"] * (len(asked) // 2):
        raise DataError(
            f"the turns are {', '.join(order[:9]) or 'none'}", where, "questions, each followed by its answer"
        )
    texts = [text for _, text in asked]
    return said[0][1] if first else None, list(zip(texts[::2], texts[1::2], strict=True))


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise DataError("a message without text", where, FORM)
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind != "image":
            raise DataError("a content part that is neither image nor text", where, FORM)
    return "\n".join(texts)
