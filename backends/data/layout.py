"""Which of the known forms a data file or folder has, told by what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.data.chat import FORM, nothing_in
from backends.data.errors import DataError
from backends.data.folders import class_folders
from backends.data.gauge import ABSENT, is_gauge
from backends.data.imagefolder import METADATA
from backends.data.records import json_lines
from backends.data.u2bench import u2bench_files

QUESTIONS = ("chat", "sharegpt", "imagefolder")
FORMATS = {
    None: (*QUESTIONS, "u2bench", "fetal-gauge", "folders"),
    "gt": QUESTIONS,
    "proxy": QUESTIONS,
    "finetune": QUESTIONS,
    "perf": (*QUESTIONS, "u2bench", "fetal-gauge", "folders"),
    "u2bench": ("u2bench",),
    "fetal-gauge": ("fetal-gauge",),
    "zero-shot": ("folders", *QUESTIONS),
}
"""Which forms a kind of job can read; None: any."""
_FAULTS_BEFORE_GIVING_UP = 20


@dataclass(frozen=True)
class Layout:
    """``files`` hold the questions, in reading order; none for a tree of class folders."""

    format: str
    path: Path
    files: tuple[Path, ...]


def find_layout(path: Path, kind: str | None = None) -> Layout:
    """What ``path`` is, and that a job of ``kind`` (see :data:`FORMATS`) can read it.

    Raises:
        DataError: it is not there, nothing known, several data files at once, or not for this kind.
    """
    path = Path(path).expanduser()
    if kind not in FORMATS:
        raise DataError(f"there is no kind {kind!r}", hint=f"known: {', '.join(name for name in FORMATS if name)}")
    if kind == "fetal-gauge" and not path.exists():
        raise DataError("there is no FETAL-GAUGE data here", str(path), ABSENT)
    layout = _folder(path, kind) if path.is_dir() else Layout(_file_format(path), path, (path,))
    if layout.format not in FORMATS[kind]:
        wanted = ", ".join(FORMATS[kind])
        hint = ABSENT if kind == "fetal-gauge" else f"expected: {wanted}"
        raise DataError(f"is of the form {layout.format}: {kind} cannot read that", str(path), hint)
    return layout


def _folder(path: Path, kind: str | None) -> Layout:
    for name in METADATA:
        if (path / name).is_file():
            return Layout(_file_format(path / name), path, (path / name,))
    below = sorted({file.parent.name for name in METADATA for file in path.glob(f"*/{name}")})
    if below:
        raise DataError(f"a folder of image folders ({', '.join(below)})", str(path), "give one of them")
    tables = u2bench_files(path)
    if tables:
        return Layout("u2bench", path, tuple(tables))
    files = sorted(path.glob("*.jsonl"))
    folders = class_folders(path)
    if folders and (kind == "zero-shot" or not files):
        return Layout("folders", path, ())
    if len(files) == 1:
        return Layout(_file_format(files[0]), path, (files[0],))
    if files:
        names = ", ".join(file.name for file in files[:6]) + (", …" if len(files) > 6 else "")
        raise DataError(f"a folder with {len(files)} data files ({names})", str(path), "give one of them")
    hint = ABSENT if kind == "fetal-gauge" else "give the .jsonl file in it"
    raise DataError("a folder without data files or folders of images", str(path), hint)


def _file_format(path: Path) -> str:
    ending = path.suffix.lower()
    if ending == ".tsv":
        return "u2bench"
    if ending == ".csv":
        return "imagefolder"
    faults: list[DataError] = []

    def note(error: DataError) -> None:
        faults.append(error)
        if len(faults) >= _FAULTS_BEFORE_GIVING_UP:
            raise faults[0]

    for _, record in json_lines(path, FORM, note):
        if "conversations" in record:
            return "sharegpt"
        if "messages" in record:
            return "chat"
        if "file_name" in record:
            return "imagefolder"
        if is_gauge(record):
            return "fetal-gauge"
        return "chat"
    raise faults[0] if faults else nothing_in(path)


def content_parts(layout: Layout) -> Iterator[Path | str]:
    """What decides the questions: the data files, or for class folders the line of each image (name and size)."""
    yield from layout.files
    if layout.format == "folders":
        for folder, folders, files in os.walk(layout.path):
            folders.sort()
            for name in sorted(files):
                file = Path(folder, name)
                yield f"{file.relative_to(layout.path).as_posix()}\0{file.lstat().st_size}\n"
