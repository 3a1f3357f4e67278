"""VLMEvalKit's results: a table a data set with ``prediction`` beside the data's columns.

Its package is never imported: that switches off TLS verification for the whole process.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.records import open_data_file
from backends.data.results.made import FAILED, Made, MadeAnswer, Stated, number, read_document, said, text_or_none
from backends.data.topic import TOPICS, topic_of

Row = Mapping[str, Any]

ENDINGS = (".tsv", ".json", ".xlsx")
_FAILURES = (FAILED, "Failed to obtain answer via API")
"""What its model wrappers store where no answer came."""
_CATEGORIES = ("category", "l2-category", "l2_category")
_LONGEST_PATH = 1024
_LARGEST_CELL = 1 << 30
_NO_XLSX_LEFT = "let VLMEvalKit write it again, as .tsv (PRED_FORMAT=tsv) if need be"
_NO_XLSX = "pip install 'fada-tui[excel]', or let VLMEvalKit write .tsv (PRED_FORMAT=tsv)"


def tables_in(folder: Path) -> list[Path]:
    """The tables of answers in ``folder``; those that a judge made of them are left out."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix in ENDINGS and _has_predictions(path)]
    stems = {path.stem for path in found}
    kept: dict[str, Path] = {}
    for path in found:
        if not any(path.stem.startswith(f"{stem}_") for stem in stems - {path.stem}):
            kept.setdefault(path.stem, path)
    return list(kept.values())


def read_vlmevalkit(tables: Sequence[Path], given: Path) -> Made:
    """The answers of one model to one or several data sets.

    The topic is FADA's where the question is one of the eight, else the data set.

    Raises:
        DataError: a table cannot be read or has no ``prediction``.
    """
    made = Made("vlmevalkit", given, files=list(tables))
    models = set()
    for path in tables:
        model, dataset = _names(path)
        models.add(model)
        for row in _rows(path):
            made.answers.append(_answer(row, dataset, path))
        stated = _stated(path, dataset if len(tables) > 1 else None)
        made.stated += [one for _, ones in stated for one in ones]
        made.files += [source for source, _ in stated]
    made.model = _status_model(tables[0].parent) or (models.pop() if len(models) == 1 else None)
    return made


def _has_predictions(path: Path) -> bool:
    """Told by the head of the table; what cannot be read is a table if its name says so (``MODEL_DATASET.xlsx``)."""
    if path.suffix == ".xlsx":
        return "_" in path.stem and not path.stem.startswith("~")
    if path.suffix == ".json":
        try:
            rows = read_document(path)
        except DataError:
            return False
        return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and "prediction" in rows[0]
    with open_data_file(path) as file:
        head = file.readline(1 << 20).decode("utf-8-sig", "replace")
    return "prediction" in head.rstrip("\r\n").split("\t")


def _rows(path: Path) -> Iterator[Row]:
    if path.suffix == ".json":
        found = read_document(path)
        rows: Iterator[Any] = iter(found if isinstance(found, list) else ())
    elif path.suffix == ".xlsx":
        rows = _xlsx_rows(path)
    else:
        rows = _tsv_rows(path)
    some = False
    for row in rows:
        if not isinstance(row, Mapping) or "prediction" not in row:
            raise DataError('a row without "prediction"', str(path), "give the table that VLMEvalKit wrote itself")
        some = True
        yield row
    if not some:
        raise DataError("a table without rows", str(path))


def _tsv_rows(path: Path) -> Iterator[Row]:
    before = csv.field_size_limit(_LARGEST_CELL)
    try:
        with open_data_file(path) as raw:
            yield from csv.DictReader(io.TextIOWrapper(raw, "utf-8-sig", newline=""), delimiter="\t")
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a table of UTF-8 text ({error})", str(path)) from error
    finally:
        csv.field_size_limit(before)


def _xlsx_rows(path: Path) -> Iterator[Row]:
    if find_spec("openpyxl") is None:
        raise DataError("an Excel file, and openpyxl is not installed", str(path), _NO_XLSX)
    number = 1
    try:
        book = import_module("openpyxl").load_workbook(path, read_only=True, data_only=True)
        try:
            lines = book.active.iter_rows(values_only=True)
            head = [str(cell) for cell in next(lines, ())]
            for line in lines:
                number += 1
                if any(cell is not None for cell in line):
                    yield dict(zip(head, line, strict=False))
        finally:
            book.close()
    except DataError:
        raise
    except Exception as error:  # it raises nearly anything on a file that is none
        where = str(path) if number == 1 else f"{path}:{number}"
        raise DataError(f"not an Excel file, or a broken one ({error})", where, _NO_XLSX_LEFT) from error


def _names(path: Path) -> tuple[str, str]:
    """Model and data set: the folder around says where the one ends in ``MODEL_DATASET``."""
    for folder in (path.parent.name, path.parent.parent.name):
        if folder and path.stem.startswith(f"{folder}_"):
            return folder, path.stem[len(folder) + 1 :]
    model, _, dataset = path.stem.partition("_")
    return (model, dataset) if dataset else (path.stem, path.stem)


def _status_model(folder: Path) -> str | None:
    path = folder / "status.json"
    status = read_document(path) if path.is_file() else None
    return text_or_none(status.get("model")) if isinstance(status, Mapping) else None


def _answer(row: Row, dataset: str, path: Path) -> MadeAnswer:
    question = text_or_none(row.get("question")) or f"question {row.get('index')}"
    topic = topic_of(question)
    prediction, error = said(row["prediction"], _FAILURES)
    return MadeAnswer(
        image_path=_image(row, dataset, path),
        category=next((text for name in _CATEGORIES if (text := text_or_none(row.get(name)))), None),
        question=question,
        topic=topic if topic in TOPICS else dataset,
        prediction=prediction,
        error=error,
        reference=text_or_none(row.get("answer")),
    )


def _image(row: Row, dataset: str, path: Path) -> str:
    """A path where there is one; an image that stands in the table is known by its bytes, else by its row."""
    for name in ("image_path", "image"):
        text = text_or_none(row.get(name))
        if text is None:
            continue
        if len(text) <= _LONGEST_PATH and ("/" in text or "." in text) and "\n" not in text:
            return text.strip("[]'\" ")
        if text.isdigit():  # the row that has this one's image
            return f"{dataset}/{text}"
        return f"{dataset}/{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"
    index = text_or_none(row.get("index"))
    if index is None:
        raise DataError("a row with neither image nor index", str(path))
    return f"{dataset}/{index}"


def _stated(path: Path, dataset: str | None) -> list[tuple[Path, list[Stated]]]:
    """The scores beside a table: ``STEM_acc.csv``, ``STEM_score.csv``, ``STEM_score.json`` and the like."""
    found = []
    for file in sorted(path.parent.glob(f"{_escaped(path.stem)}_*")):
        if file.suffix == ".csv" and file.stem.rpartition("_")[2] in ("acc", "score"):
            found.append((file, list(_of_csv(file, dataset))))
        elif file.suffix == ".json" and file.stem.rpartition("_")[2] in ("acc", "score", "rating"):
            document = read_document(file)
            values = document.items() if isinstance(document, Mapping) else ()
            named = [(str(name), value) for name, one in values if (value := number(one)) is not None]
            share = _share([value for _, value in named])
            found.append((file, [Stated(_plain(name), value * share, question=dataset) for name, value in named]))
    return found


def _of_csv(file: Path, dataset: str | None) -> Iterator[Stated]:
    with open_data_file(file) as raw:
        rows = list(csv.DictReader(io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="")))
    cells = [
        (row.get("split"), name, value)
        for row in rows
        for name, text in row.items()
        if name and isinstance(text, str) and (value := _float(text)) is not None
    ]
    share = _share([value for _, _, value in cells])
    for split, name, value in cells:
        whole = name.strip().casefold() == "overall"
        of_split = f"split {split}" if len(rows) > 1 and split else None
        category = of_split if whole else name if of_split is None else f"{name}, {of_split}"
        yield Stated("accuracy", value * share, question=dataset, category=category)


def _float(text: str) -> float | None:
    try:
        return number(float(text))
    except ValueError:
        return None


def _share(values: Sequence[float]) -> float:
    """It writes shares of some data sets and per cent of others: beyond 1 it is per cent."""
    return 0.01 if any(value > 1 for value in values) and all(0 <= value <= 100 for value in values) else 1.0


def _plain(name: str) -> str:
    return "_".join(name.casefold().split())


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in text)
