"""Read a folder tree whose folders are named after the class of the images in them: for zero-shot classification."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from backends.data.errors import DataError, Fault, raise_fault
from backends.data.records import SampleMaker
from backends.data.sample import Sample

QUESTION = "Which class does this image belong to?"
TOPIC = "class"
_KINDS = ("png", "jpg", "jpeg", "jpe", "bmp", "gif", "tif", "tiff", "webp", "pgm", "ppm", "pbm", "pnm", "jp2", "dcm")
IMAGE_ENDINGS = frozenset(f".{kind}" for kind in (*_KINDS, "dicom"))
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})


def class_folders(path: Path) -> list[str]:
    """Names of the folders in ``path``, sorted: the classes. Hidden ones are none."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def read_folders(path: Path, image_root: Path | None = None, fault: Fault = raise_fault) -> Iterator[Sample]:
    """One sample an image, class by class, sorted by name; the reference is the name of its class's folder.

    ``kind_data``: ``label`` (the class), ``options`` (all classes, sorted). Files that are no images by their ending
    are passed over, links to folders are followed for the class folders only.

    Raises:
        DataError: no folder, no image in it, fewer than two classes, its folders are splits, or an image root that
            is not the folder itself was given.
    """
    root = Path(path).expanduser().absolute()
    if image_root is not None and Path(image_root).expanduser().absolute() != root:
        raise DataError("its images lie in it", str(path), "leave --image-root out")
    try:
        classes = tuple(class_folders(root))
    except OSError as error:
        raise DataError(error.strerror or str(error), str(path), "check --data") from error
    if classes and _SPLITS.issuperset(name.lower() for name in classes):
        raise DataError(f"its folders are splits ({', '.join(classes)})", str(path), "give one of them")
    if len(classes) < 2:
        raise DataError(
            f"{len(classes)} folders in it, and a class is a folder",
            str(path),
            "give the folder that holds CLASS/name.png",
        )
    maker = SampleMaker(root)
    for label in classes:
        kind_data = {"label": label, "options": classes}
        for name in _images(root, label):
            try:
                yield maker.make(
                    name, QUESTION, label, str(root / name), None, topic=TOPIC, category=label, kind_data=kind_data
                )
            except DataError as error:
                fault(error)
    if not maker.seen:
        raise DataError("no images in folders that are named after classes", str(path), "expected CLASS/name.png")


def one_an_image(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Of questions and answers the classification they hold: each image once, its category the right answer.

    ``kind_data``: ``label``. Samples without a category are left out.
    """
    seen: set[str] = set()
    for sample in samples:
        if sample.category and sample.image_path not in seen:
            seen.add(sample.image_path)
            yield replace(
                sample,
                id=f"{sample.image_path}#{TOPIC}",
                question=QUESTION,
                topic=TOPIC,
                reference=sample.category,
                system=None,
                kind_data={"label": sample.category},
            )


def _images(root: Path, label: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root / label):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in IMAGE_ENDINGS and not name.startswith("."):
                yield Path(folder, name).relative_to(root).as_posix()
