"""Read multiple-choice questions in the local layout for FETAL-GAUGE (arXiv 2512.22278): images and a JSONL file.

A line: ``{"id", "image", "task", "question", "options", "answer", "source", "box_size"}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.records import SampleMaker, check_image_name, find_root, given_root, json_lines, readable_names
from backends.data.sample import Sample

FORM = 'expected {"id", "image", "task", "question", "options", "answer", "source", "box_size"}'
ABSENT = (
    "FETAL-GAUGE had not been released when this was written, and nothing is downloaded:"
    f" put the images and one JSONL file into a folder; {FORM}, one a line"
)
TASKS = {
    "PI": "plane identification",
    "VC": "view conformity",
    "FO": "fetal orientation",
    "CD": "clinical diagnosis",
    "VG": "visual grounding",
}
"""The five tasks: label to name."""
_TASK_OF = {**{label.casefold(): label for label in TASKS}, **{name: label for label, name in TASKS.items()}}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def is_gauge(record: dict[str, Any]) -> bool:
    """True for a line of this form."""
    return {"image", "question", "options", "answer"} <= record.keys()


def read_gauge(path: Path, image_root: Path | None = None, fault: Fault = raise_fault) -> Iterator[Sample]:
    """The questions of a file in its order, lazily; the topic is the task's label, the reference the right option.

    ``kind_data``: ``task``, ``options`` (texts in the file's order), ``answer`` (index of the right one), ``source``
    and ``box_size`` as they stand or None, ``record`` (the file's id).

    Raises:
        DataError: no such file, no sample in it, or (while iterating) a line that is not one question.
    """
    quiet = json_lines(path, FORM, lambda error: None)
    maker = SampleMaker(given_root(image_root) if image_root else find_root(path, readable_names(quiet, _image)))
    for number, record in json_lines(path, FORM, fault):
        try:
            yield _sample(record, f"{path}:{number}", number, maker)
        except DataError as error:
            fault(error)
    if not maker.seen:
        raise DataError("no samples in the file", str(path), f"{FORM}, one a line")


def _sample(record: dict[str, Any], where: str, line: int, maker: SampleMaker) -> Sample:
    name, question = _image(record, where), record.get("question")
    if not isinstance(question, str):
        raise DataError('"question" is no text', where, FORM)
    named = " ".join(str(record.get("task") or "").replace("_", " ").split())
    task = _TASK_OF.get(named.casefold())
    if task is None:
        raise DataError(f"the task {named!r} is not known", where, f"known: {', '.join(TASKS)}")
    options = _options(record.get("options"), where)
    answer = _answer(record.get("answer"), options, where)
    return maker.make(
        name,
        question,
        options[answer],
        where,
        line,
        topic=task,
        kind_data={
            "task": task,
            "options": options,
            "answer": answer,
            "source": record.get("source"),
            "box_size": record.get("box_size"),
            "record": record.get("id"),
        },
    )


def _image(record: dict[str, Any], where: str) -> str:
    name = record.get("image")
    if not isinstance(name, str):
        raise DataError('"image" is not a path', where, FORM)
    return check_image_name(name, where, FORM)


def _options(value: Any, where: str) -> tuple[str, ...]:
    """The options' texts: of a list, or of an object whose keys are letters in order."""
    if isinstance(value, dict):
        if list(value) != list(_LETTERS[: len(value)]):
            raise DataError('the keys of "options" are not A, B, C, …', where, FORM)
        value = list(value.values())
    if not isinstance(value, list) or not 2 <= len(value) <= len(_LETTERS):
        raise DataError('"options" is not a list of 2 to 26 texts', where, FORM)
    if not all(isinstance(option, str) and option.strip() for option in value):
        raise DataError('an empty option in "options", or one that is no text', where, FORM)
    options = tuple(option.strip() for option in value)
    if len({option.casefold() for option in options}) < len(options):
        raise DataError('the same option twice in "options"', where, "which one is right could not be told")
    return options


def _answer(value: Any, options: tuple[str, ...], where: str) -> int:
    """Index of the right option: the answer is its text, or else its letter."""
    if isinstance(value, str):
        text = value.strip()
        for index, option in enumerate(options):
            if option.casefold() == text.casefold():
                return index
        letter = text.strip("().:").upper()
        if len(letter) == 1 and letter in _LETTERS[: len(options)]:
            return _LETTERS.index(letter)
    raise DataError(f'the answer {value!r} is none of its "options", nor the letter of one', where, FORM)
