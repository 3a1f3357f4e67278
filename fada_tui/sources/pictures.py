"""The image of a sample, small enough for a pane: found by what the run's spec says, decoded in the caller's thread.

Pillow is imported when the first image is wanted, never at start.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.images import ImageError, open_image
from backends.data.layout import find_layout
from backends.data.records import UNSAFE, leaves_root
from backends.data.sample import Sample
from backends.data.u2bench import read_u2bench
from backends.jobs.files import read_json
from backends.jobs.store import read_spec

KEPT = 64
"""Pictures that are kept as drawn."""
NO_PILLOW = "images need Pillow: pip install 'fada-tui[images]'"
_LEVELS = 8
"""Colours are told apart in steps of this: no eye sees it, and equal neighbours cost no bytes."""
_LARGER = 3
"""A small image is drawn at most so many times larger."""


@dataclass(frozen=True)
class Picture:
    """An image for a box of cells, two pixels a cell one above the other; or why there is none."""

    name: str
    width: int = 0
    height: int = 0
    pixels: bytes = field(default=b"", repr=False)
    """RGB, row by row."""
    size: tuple[int, int] = (0, 0)
    """Of the image itself, upright."""
    trouble: str = ""


class ImageFinder:
    """Where the images of a run lie. Only what is needed is read: of a benchmark's tables the row of the image.

    Args:
        run_dir: The run's directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._data: dict[str, Any] | None = None
        self._cells: dict[str, Sample] = {}
        self._unread: Iterator[Sample] | None = None

    def sample(self, name: str) -> Sample:
        """What :func:`backends.data.images.open_image` opens.

        Raises:
            ImageError: the run does not say, or it is not where the run says.
        """
        if self._data is None:
            self._data = (read_spec(self._run_dir) or {}).get("data") or {}
        data = self._data
        if not data.get("path"):
            raise ImageError("the run does not say where its images lie (import it with --data and --image-root)")
        if data.get("format") == "u2bench":
            return self._cell(name, Path(data["path"]))
        return _file(name, Path(data.get("image_root") or Path(data["path"]).parent))

    def _cell(self, name: str, tables: Path) -> Sample:
        if self._unread is None:
            self._cells = dict(_noted(self._run_dir))
            self._unread = _read(tables)
        try:
            while name not in self._cells:
                sample = next(self._unread)
                self._cells.setdefault(sample.image_path, sample)
        except StopIteration:
            raise ImageError(f"{name} is not in {tables}: the data changed since") from None
        except (DataError, OSError) as error:
            raise ImageError(f"{tables}: {error}") from error
        return self._cells[name]


def _read(tables: Path) -> Iterator[Sample]:
    yield from read_u2bench(find_layout(tables, "u2bench").files, lambda error: None)


def _noted(run_dir: Path) -> Iterator[tuple[str, Sample]]:
    """The places of images that the run's answer key has noted."""
    for identity, entry in (read_json(run_dir / "key.json") or {}).items():
        place = entry.get("image") if isinstance(entry, dict) else None
        if isinstance(place, list) and len(place) == 4:
            name = identity.rpartition("#")[0] if identity.count("#") == 1 else identity.split("#")[0]
            yield name, _made(name, Path(place[0]), cell=tuple(place[1:]))


def _file(name: str, root: Path) -> Sample:
    why = leaves_root(name)
    if why:
        return _made(name, UNSAFE, problem=f"the image path {name} {why}: not read")
    for folder in (root, root / "images"):
        with suppress(OSError):
            if (folder / name).exists():
                return _made(name, folder / name)
    raise ImageError(f"{name} is not in {root}")


def _made(name: str, file: Path, *, cell: tuple[int, ...] | None = None, problem: str | None = None) -> Sample:
    return Sample(
        id=name,
        image_path=name,
        image_file=file,
        category=None,
        question="",
        topic="",
        reference="",
        problem=problem,
        kind_data={"cell": cell} if cell else None,
    )


def draw(sample: Sample, columns: int, rows: int) -> Picture:
    """The image in at most ``columns`` × ``rows`` cells, its shape kept.

    Raises:
        ImageError: it cannot be shown; the message says why.
    """
    if find_spec("PIL") is None:
        raise ImageError(NO_PILLOW)
    from PIL import Image

    image = open_image(sample)
    scale = min(columns / image.width, 2 * rows / image.height, _LARGER)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    # Reducing first costs a fraction of the time, and nothing that could be seen.
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0 if scale < 1 else None)
    steps = [min(255, (value + _LEVELS // 2) // _LEVELS * _LEVELS) for value in range(256)]
    return Picture(sample.image_path, *size, small.point(steps * 3).tobytes(), image.size)


class PictureSource:
    """Its :meth:`run` belongs into a thread. Of what is asked for only the last is drawn: keys are quicker.

    Args:
        run_dir: The run whose images they are.
        post: Thread-safe: is handed each picture with the size of the box that it was drawn for.
    """

    def __init__(self, run_dir: Path, post: Callable[[Picture, tuple[int, int]], object]) -> None:
        self._finder = ImageFinder(run_dir)
        self._post = post
        self._kept: OrderedDict[tuple[str, int, int], Picture] = OrderedDict()
        self._wake = threading.Condition()
        self._asked: tuple[str, int, int] | None = None
        self._stopped = False

    def ask(self, name: str, columns: int, rows: int) -> None:
        with self._wake:
            self._asked = (name, columns, rows)
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def run(self) -> None:
        """Until :meth:`stop`."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or self._asked is not None)
                if self._stopped:
                    return
                asked, self._asked = self._asked, None
            assert asked is not None
            self._post(self._picture(*asked), asked[1:])

    def _picture(self, name: str, columns: int, rows: int) -> Picture:
        key = (name, columns, rows)
        found = self._kept.get(key)
        if found is None:
            found = self._drawn(name, columns, rows)
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found

    def _drawn(self, name: str, columns: int, rows: int) -> Picture:
        try:
            return draw(self._finder.sample(name), columns, rows)
        except ImageError as error:
            return Picture(name, trouble=str(error))
        except Exception as error:  # noqa: BLE001 - whatever an image does, the others are still to be seen
            return Picture(name, trouble=f"{type(error).__name__}: {error}")
