"""Read U2-BENCH's tables (arXiv 2505.17779): images in base64 beside prompts, one folder of ``.tsv`` a task."""

from __future__ import annotations

import ast
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.records import UNSAFE, SampleMaker, check_text
from backends.data.sample import Sample
from backends.data.table import Row, read_header, read_rows

TASKS = {
    "disease_diagnosis": "DD",
    "view_recognition_and_assessment": "VRA",
    "lesion_localisation": "LL",
    "organ_detection": "OD",
    "keypoint_detection": "KD",
    "clinical_value_estimation": "CVE",
    "report_generation": "RG",
    "caption_generation": "CG",
}
"""The eight tasks: folder to label."""
_FORM = (
    "expected tab-separated columns dataset_name, img_data, patient_id, prompt, anatomy_location, demographic,"
    " classification_task, class_label, options, seg_data, seg_channel_name, gt_bbox, keypoints, measurement, caption,"
    " report, notes"
)
_NEEDED = ("dataset_name", "img_data", "prompt")
_ANSWERS = {
    "DD": "class_label",
    "VRA": "class_label",
    "LL": "gt_bbox",
    "OD": "gt_bbox",
    "KD": "keypoints",
    "CVE": "measurement",
    "RG": "report",
    "CG": "caption",
}
"""The column that holds the right answer of a task."""
_SPATIAL = ("LL", "OD", "KD")
_LONGEST_LITERAL = 1 << 20
"""Characters. Deeply nested text can crash a parser; no box is so long."""
_SMALLEST_IMAGE = 64
"""Bytes. Less cannot be a picture: a word that happens to be valid base64."""
_LONGEST_EXPLANATION = 1000


def u2bench_files(folder: Path) -> list[Path]:
    """The tables in ``folder`` and in those of its folders that are named after a task, sorted."""
    names = [folder / name for name in sorted(TASKS)]
    return [table for place in [folder, *names] if place.is_dir() for table in sorted(place.glob("*.tsv"))]


def read_u2bench(files: Iterable[Path], fault: Fault = raise_fault) -> Iterator[Sample]:
    """The samples of tables, file by file, lazily: one row is held at a time, no image is kept.

    The image path is the data set's name, ``/``, and a hash of the image's bytes, so that questions about one image
    belong together across tasks; the topic is the task's label (``DD``…), the category the data set's name. A first
    row that explains the columns is dropped. The answer to ``CVE`` is its measurement as text; where it is a place
    (LL, OD, KD) the reference is ``class_label``, or empty where that is.

    ``kind_data``: ``task``, ``dataset``, ``cell`` (byte offset and length of the row, index of the image's column),
    ``options`` (tuple or None), ``boxes``, ``keypoints``, ``measurement`` (as they are written there, or None),
    ``classification_task``, ``anatomy``, ``patient`` (texts or None).

    Raises:
        DataError: a file cannot be opened, lacks a column or tells no task, there is no sample in them, or (while
            iterating) a row is none.
    """
    maker = SampleMaker(UNSAFE)
    table = None
    for table in files:
        yield from _table(Path(table), maker, fault)
    if not maker.seen:
        raise DataError("no samples in the tables", str(table) if table else None, _FORM)


def _table(path: Path, maker: SampleMaker, fault: Fault) -> Iterator[Sample]:
    header = read_header(path)
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        raise DataError(f"no column {', '.join(missing)}", f"{path}:1", _FORM)
    task = task_of(path)
    column = header.index("img_data")
    for number, row in enumerate(read_rows(path, fault)):
        data = _image_bytes(row.cells["img_data"])
        if number == 0 and _explains(row.cells["img_data"], data):
            continue
        where = f"{path}:{row.line}"
        try:
            yield _sample(path, row, data, task or _task_by_content(row, where), column, maker)
        except DataError as error:
            fault(error)


def _explains(cell: str, data: bytes | None) -> bool:
    """True for the cell of a row that explains the columns: a few words, no image nor the ruins of one."""
    return len(cell) < _LONGEST_EXPLANATION and (data is None or len(data) < _SMALLEST_IMAGE)


def task_of(path: Path) -> str | None:
    """A task's label from the name of the file or its folder, or None."""
    for name in (path.stem.lower(), path.absolute().parent.name.lower()):
        for folder, label in TASKS.items():
            if folder in name:
                return label
    return None


def _task_by_content(row: Row, where: str) -> str:
    """From which answers a row has, where only one task has these."""
    found = [task for task in ("CVE", "RG", "CG", "KD") if _filled(row, _ANSWERS[task])]
    if len(found) == 1 and not _filled(row, "class_label"):
        return found[0]
    raise DataError(
        "which of the eight tasks this is cannot be told", where, f"put the file into a folder named {', '.join(TASKS)}"
    )


def _sample(path: Path, row: Row, data: bytes | None, task: str, column: int, maker: SampleMaker) -> Sample:
    where, cells = f"{path}:{row.line}", row.cells
    dataset = cells["dataset_name"].strip() or path.stem
    question = cells["prompt"].strip()
    if not question:
        raise DataError("the prompt is empty", where, "complete or remove the row")
    problem = None if data else "img_data is not base64 of an image"
    literals: dict[str, Any] = {}
    for name in ("options", "gt_bbox", "keypoints", "measurement"):
        try:
            literals[name] = _literal(cells.get(name, ""))
        except ValueError as error:
            literals[name] = None
            if name == _ANSWERS[task]:
                problem = problem or f"{name} is not a Python literal ({error})"
    reference = cells.get("class_label" if task in _SPATIAL else _ANSWERS[task], "").strip()
    if task not in _SPATIAL and not _filled(row, _ANSWERS[task]):  # nothing at a place is "not visible"
        problem = problem or f"no answer: {_ANSWERS[task]} is empty"
    content = data or cells["img_data"].encode("utf-8", "surrogatepass")
    name = f"{dataset}/{hashlib.blake2b(content, digest_size=8).hexdigest()}"
    check_text(where, dataset, question, reference)
    return Sample(
        id=maker.id_of(name, task),
        image_path=name,
        image_file=path,
        category=dataset,
        question=question,
        topic=task,
        reference=reference,
        problem=problem,
        line=row.line,
        kind_data={
            "task": task,
            "dataset": dataset,
            "cell": (row.offset, row.length, column),
            **_details(cells, literals),
        },
    )


def _details(cells: dict[str, str], literals: dict[str, Any]) -> dict[str, Any]:
    options = literals["options"]
    return {
        "options": tuple(map(str, options)) if isinstance(options, list | tuple) else None,
        "boxes": literals["gt_bbox"],
        "keypoints": literals["keypoints"],
        "measurement": literals["measurement"],
        "classification_task": _plain(cells, "classification_task"),
        "anatomy": _plain(cells, "anatomy_location"),
        "patient": _plain(cells, "patient_id"),
    }


def _image_bytes(cell: str) -> bytes | None:
    """The image of a cell, a ``data:`` prefix and line breaks aside; None where it is not base64."""
    if cell.startswith("data:"):
        cell = cell.partition(",")[2]
    try:
        return binascii.a2b_base64("".join(cell.split()) if any(c in cell for c in " \n\r") else cell, strict_mode=True)
    except ValueError:  # binascii.Error, or text that is not ASCII
        return None


def decode_image(cell: str) -> bytes:
    """The bytes of an ``img_data`` cell.

    Raises:
        ValueError: it is not base64.
    """
    data = _image_bytes(cell)
    if not data:
        raise ValueError("img_data is not base64 of an image")
    return data


def _literal(cell: str) -> Any:
    """What a cell says as a Python literal; never evaluated. An empty one says None.

    Raises:
        ValueError: it is no literal.
    """
    text = cell.strip()
    if text.lower() in ("", "nan", "none", "null"):
        return None
    if len(text) > _LONGEST_LITERAL:
        raise ValueError("too long")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(type(error).__name__) from error


def _filled(row: Row, column: str) -> bool:
    return row.cells.get(column, "").strip().lower() not in ("", "nan")


def _plain(cells: dict[str, str], column: str) -> str | None:
    return cells.get(column, "").strip() or None
