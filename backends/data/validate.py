"""Check a data file before a job is queued on it: every line, every image's presence, and hashes of both."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.data.chat import chat_form, default_roots, read_chat, resolve_image_root
from backends.data.composition import composition
from backends.data.errors import DataError
from backends.data.sample import Sample
from backends.data.subset import choose

LISTED = 20
"""Problems that are listed; all are counted."""


@dataclass(frozen=True)
class DataReport:
    """A data file that can be used. Counts and hashes are of the samples that ``limit`` takes, ``sha256`` of all."""

    path: Path
    image_root: Path
    format: str
    """``chat`` or ``sharegpt``."""
    samples: int
    images: int
    """Distinct image paths."""
    sha256: str
    """Of the data file's bytes."""
    image_stats_sha256: str
    """Of the sorted (image path, size, modification time) of all images that were found."""
    categories: dict[str, int]
    questions: dict[str, int]
    """Topic to count."""
    problems: tuple[str, ...]
    """The first :data:`LISTED`, each ``file:line: what``."""
    missing_images: int = 0
    """Distinct images that are absent, empty or no file."""
    refused_images: int = 0
    """Distinct image paths that leave the image root."""
    total_samples: int = 0
    """In the whole file, whatever the limit."""


def validate(path: Path, image_root: Path | None = None, limit: int | None = None, seed: int = 0) -> DataReport:
    """Read every line of ``path`` and look for the image of each sample that ``limit`` and ``seed`` take.

    Raises:
        DataError: the file cannot be used: missing, a folder, empty, a malformed line, or no image can be found.
    """
    path = Path(path).expanduser().absolute()
    root = resolve_image_root(path, image_root)
    total = 0

    def counted() -> Iterator[Sample]:
        nonlocal total
        for sample in read_chat(path, root):
            total += 1
            yield sample

    images = _Images()
    chosen = counted() if limit is None else iter(choose(counted(), limit, seed))
    counts = composition(images.look_for(chosen))
    if not images.stats:
        raise _no_images(path, image_root, root, images)
    return DataReport(
        path=path,
        image_root=root,
        format=chat_form(path),
        samples=counts.samples,
        images=counts.images,
        sha256=file_sha256(path),
        image_stats_sha256=hashlib.sha256("".join(sorted(images.stats.values())).encode()).hexdigest(),
        categories=counts.categories,
        questions=counts.topics,
        problems=tuple(f"{path}:{line}: {text}" for line, text in images.problems),
        missing_images=images.missing,
        refused_images=images.refused,
        total_samples=total,
    )


class _Images:
    """Looks once for each image of the samples that pass through."""

    def __init__(self) -> None:
        self.stats: dict[str, str] = {}
        """Image path to its line in the hashed list; only of images that were found."""
        self.problems: list[tuple[int | None, str]] = []
        """Line and text of the first :data:`LISTED`."""
        self.missing = 0
        self.refused = 0
        self._bad: set[str] = set()

    def look_for(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if sample.image_path not in self.stats and sample.image_path not in self._bad:
                self._look(sample)
            yield sample

    def _look(self, sample: Sample) -> None:
        name = sample.image_path
        problem = sample.problem
        if problem:
            self.refused += 1
        else:
            problem = self._stat(name, sample.image_file)
            self.missing += problem is not None
        if problem:
            self._bad.add(name)
            if len(self.problems) < LISTED:
                self.problems.append((sample.line, problem))

    def _stat(self, name: str, file: Path) -> str | None:
        try:
            status = file.stat()
        except OSError as error:
            return f"the image {name} cannot be read: {error.strerror}"
        if not stat.S_ISREG(status.st_mode):
            return f"the image {name} is no file"
        if status.st_size == 0:
            return f"the image {name} is empty"
        self.stats[name] = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"
        return None


def _no_images(path: Path, given: Path | None, root: Path, images: _Images) -> DataError:
    tried = [root] if given is not None else default_roots(path)
    return DataError(
        f"none of its {images.missing + images.refused} images can be read under {' or '.join(map(str, tried))}"
        f" (line {images.problems[0][0]}: {images.problems[0][1]})",
        str(path),
        "give the folder where the image paths start: --image-root DIR",
    )


def file_sha256(path: Path) -> str:
    """Hash of the whole file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
