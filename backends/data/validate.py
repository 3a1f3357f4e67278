"""Check a data file before a job is queued on it: every line, every image's presence, and hashes of both."""

from __future__ import annotations

import bisect
import hashlib
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from backends.data.chat import resolve_image_root
from backends.data.composition import Composition, composition
from backends.data.door import open_data
from backends.data.errors import DataError
from backends.data.images import DICOM_HINT, upright_size
from backends.data.layout import Layout, content_parts, find_layout
from backends.data.records import default_roots, given_root
from backends.data.sample import Sample
from backends.data.subset import choose

LISTED = 20
"""Problems that are listed; all are counted."""
MEASURED = 48
"""So many images have their sizes read, from the files' headers."""
SIZES = 12
"""So many different sizes are told, the largest always."""
_TWO_ROOTS = ("chat", "sharegpt", "fetal-gauge")
"""Forms whose image paths may start at the file's folder or at its ``images/``."""


@dataclass(frozen=True)
class DataReport:
    """What a data file holds. Counts and hashes are of the samples that ``limit`` takes, ``sha256`` of all."""

    path: Path
    """The data file, also where its folder was given; a folder of tables or of classes."""
    image_root: Path
    format: str
    """``chat``, ``sharegpt``, ``imagefolder``, ``u2bench``, ``fetal-gauge`` or ``folders``."""
    samples: int
    images: int
    """Distinct image paths."""
    sha256: str
    """Of the data files' bytes; of class folders the images' names and sizes."""
    image_stats_sha256: str
    """Of the sorted (image path, size, modification time) of all images that were found."""
    categories: dict[str, int]
    questions: dict[str, int]
    """Topic to count."""
    problems: tuple[str, ...]
    """What fails samples but not the job: the first :data:`LISTED`, each ``file:line: what``."""
    missing_images: int = 0
    """Distinct images that are absent, empty or no file."""
    refused_images: int = 0
    """Distinct images that are not to be read, or not asked about: their path leaves the image root, a cell is no
    base64, a row has no answer."""
    total_samples: int = 0
    """In the whole file, whatever the limit."""
    more_problems: int = 0
    """How many more there are than ``problems`` lists."""
    faults: tuple[str, ...] = ()
    """Lines that are no samples, so that no job can use the data: the first :data:`LISTED`, ``file:line: what``."""
    more_faults: int = 0
    """How many more there are than ``faults`` lists."""
    composition: Composition | None = field(default=None, repr=False)
    """Per category and question."""
    image_bytes: int = 0
    """Of the files of all images that were found; about, where they lie in a table."""
    image_sizes: tuple[tuple[int, int, int], ...] = ()
    """Width, height and how many: of :data:`MEASURED` images drawn by their names, the commonest sizes first."""


def validate(
    path: Path, image_root: Path | None = None, limit: int | None = None, seed: int = 0, kind: str | None = "gt"
) -> DataReport:
    """Read every line of ``path`` and look for the image of each sample that ``limit`` and ``seed`` take.

    Raises:
        DataError: a job of ``kind`` cannot use it: missing, empty, of another form, malformed lines (all are counted,
            the first in ``details``), or no image can be found.
    """
    report, error = _check(path, image_root, limit, seed, kind)
    if error:
        raise error
    return report


def inspect(
    path: Path, image_root: Path | None = None, limit: int | None = None, seed: int = 0, kind: str | None = None
) -> DataReport:
    """As :func:`validate`, but malformed lines are in the report instead of ending it.

    Raises:
        DataError: there is nothing that a job of ``kind`` could read, not even one sample.
    """
    report, _ = _check(path, image_root, limit, seed, kind)
    return report


def _check(
    path: Path, image_root: Path | None, limit: int | None, seed: int, kind: str | None
) -> tuple[DataReport, DataError | None]:
    """The report, and why no job can run on it."""
    path = Path(path).expanduser().absolute()
    layout = find_layout(path, kind)
    root = _root(layout, image_root)
    faults, images, total = _Faults(), _Images(layout), 0

    def counted() -> Iterator[Sample]:
        nonlocal total
        for sample in open_data(path, kind, root, fault=faults.add):
            total += 1
            yield sample

    try:
        chosen = counted() if limit is None else iter(choose(counted(), limit, seed))
        counts = composition(images.look_for(chosen))
    except DataError as error:
        raise faults.error() or error from error
    report = DataReport(
        path=layout.files[0] if len(layout.files) == 1 else path,
        image_root=root,
        format=layout.format,
        samples=counts.samples,
        images=counts.images,
        sha256=_sha256(layout),
        image_stats_sha256=hashlib.sha256("".join(sorted(images.stats.values())).encode()).hexdigest(),
        categories=counts.categories,
        questions=counts.topics,
        problems=tuple(f"{where}: {text}" for where, text in images.problems),
        missing_images=images.missing,
        refused_images=images.refused,
        total_samples=total,
        more_problems=images.missing + images.refused - len(images.problems),
        faults=tuple(faults.listed),
        more_faults=faults.count - len(faults.listed),
        composition=counts,
        image_bytes=images.bytes,
        image_sizes=images.sizes(),
    )
    none = None if images.stats else _no_images(layout, image_root, root, images)
    return report, faults.error() or none or (_too_few_classes(report) if kind == "zero-shot" else None)


def resolved_root(path: Path, given: Path | None, kind: str | None = None) -> Path:
    """Where the image paths of a data file start: the folder given, or the one that is found.

    Raises:
        DataError: there is nothing that a job of ``kind`` could read.
    """
    return _root(find_layout(Path(path).expanduser().absolute(), kind), given)


def _root(layout: Layout, given: Path | None) -> Path:
    if layout.format in _TWO_ROOTS:
        return resolve_image_root(layout.files[0], given)
    if given is not None and layout.format != "u2bench":
        return given_root(given)
    return layout.path if layout.path.is_dir() else layout.path.parent


class _Faults:
    """Keeps the first :data:`LISTED` lines that are wrong, and counts them all."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.count = 0
        self._first: DataError | None = None

    def add(self, error: DataError) -> None:
        self._first = self._first or error
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(str(error))

    def error(self) -> DataError | None:
        """The first one, which says how many more there are and lists them; None where all is well."""
        first = self._first
        if first is None or self.count == 1:
            return first
        more = self.count - 1
        words = f"{first.message} (and {more:,} more line{'s' if more > 1 else ''} that cannot be used)"
        return DataError(words, first.where, first.hint, tuple(self.listed))


class _Images:
    """Looks once for each image of the samples that pass through."""

    def __init__(self, layout: Layout) -> None:
        self.stats: dict[str, str] = {}
        """Image path to its line in the hashed list; only of images that were found."""
        self.problems: list[tuple[str, str]] = []
        """Place and text of the first :data:`LISTED`."""
        self.missing = 0
        self.refused = 0
        self.bytes = 0
        self._layout = layout
        self._bad: set[tuple[str, str | None]] = set()
        self._reads_dicom = find_spec("pydicom") is not None
        self._drawn = _Drawn()

    def look_for(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            key = sample.image_path, sample.problem
            if (sample.problem or sample.image_path not in self.stats) and key not in self._bad:
                problem = self._look(sample)
                if problem:
                    self._bad.add(key)
                    if len(self.problems) < LISTED:
                        self.problems.append((self._where(sample), problem))
            yield sample

    def _where(self, sample: Sample) -> str:
        if sample.line is None:
            return str(self._layout.path)
        table = sample.image_file if self._layout.format == "u2bench" else self._layout.files[0]
        return f"{table}:{sample.line}"

    def _look(self, sample: Sample) -> str | None:
        name, problem = sample.image_path, sample.problem
        if not problem and not self._reads_dicom and sample.image_file.suffix.lower() in (".dcm", ".dicom"):
            problem = f"the image {name}: {DICOM_HINT}"
        if problem:
            self.refused += 1
        elif self._layout.format == "u2bench":
            self.stats[name] = f"{name}\n"  # the name holds a hash of the bytes
            self.bytes += (sample.kind_data or {})["cell"][1] * 3 // 4  # base64, nearly all of the row
        else:
            problem = self._stat(name, sample.image_file)
            self.missing += problem is not None
        if not problem:
            self._drawn.add(sample)
        return problem

    def sizes(self) -> tuple[tuple[int, int, int], ...]:
        """Of some of the images that were found."""
        return self._drawn.sizes()

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
        self.bytes += status.st_size
        return None


def measured_sizes(samples: Iterable[Sample]) -> tuple[tuple[int, int, int], ...]:
    """As :attr:`DataReport.image_sizes`, of samples that were read already."""
    drawn = _Drawn()
    for sample in {sample.image_path: sample for sample in samples}.values():
        drawn.add(sample)
    return drawn.sizes()


class _Drawn:
    """:data:`MEASURED` images whose names' hashes are smallest: the same ones whatever the order of the file."""

    def __init__(self) -> None:
        self._kept: list[tuple[bytes, str, Sample]] = []

    def add(self, sample: Sample) -> None:
        """A sample of an image that was not added yet."""
        rank = hashlib.blake2b(sample.image_path.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        if len(self._kept) < MEASURED or rank < self._kept[-1][0]:
            bisect.insort(self._kept, (rank, sample.image_path, sample), key=lambda one: one[:2])
            del self._kept[MEASURED:]

    def sizes(self) -> tuple[tuple[int, int, int], ...]:
        """The commonest first, the largest always there; images are opened, none is decoded. Nothing without Pillow."""
        if find_spec("PIL") is None:
            return ()
        counts = Counter(size for _, _, sample in self._kept if (size := upright_size(sample)) is not None)
        chosen = [size for size, _ in counts.most_common(SIZES)]
        largest = max(counts, key=lambda size: (size[0] * size[1], size), default=None)
        if largest is not None and largest not in chosen:
            chosen[-1] = largest
        return tuple((width, height, counts[width, height]) for width, height in chosen)


def _no_images(layout: Layout, given: Path | None, root: Path, images: _Images) -> DataError:
    where, text = images.problems[0]
    looked = ""
    if layout.format != "u2bench":
        defaults = default_roots(layout.files[0]) if layout.format in _TWO_ROOTS else [root]
        looked = f" under {' or '.join(map(str, [root] if given is not None else defaults))}"
    return DataError(
        f"none of its {images.missing + images.refused} images can be read{looked} ({where}: {text})",
        str(layout.path),
        "give the folder where the image paths start: --image-root DIR" if looked else "the table is no U2-BENCH table",
    )


def _too_few_classes(report: DataReport) -> DataError | None:
    if len(report.categories) > 1:
        return None
    only = ", ".join(report.categories)
    return DataError(f"one class only ({only}): nothing to tell apart", str(report.path), "give images of two and more")


def file_sha256(path: Path) -> str:
    """Hash of the data in a file or folder, in hexadecimal: of the file's bytes, or of all that decides its questions.

    Raises:
        DataError: a folder that is no data.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return _sha256(find_layout(path)) if path.is_dir() else _file_sha256(path)


def _sha256(layout: Layout) -> str:
    if len(layout.files) == 1:
        return _file_sha256(layout.files[0])
    digest = hashlib.sha256()
    for part in content_parts(layout):
        digest.update((part if isinstance(part, str) else _file_sha256(part)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
