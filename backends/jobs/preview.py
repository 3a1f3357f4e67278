"""What is to be known of a fine-tune before it starts: what its training subset holds, what the evaluation asks and
training never shows, and images that both share.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from backends.data.composition import Composition, composition, composition_warnings
from backends.data.contamination import overlap_words, shared_images
from backends.data.door import open_data
from backends.data.errors import DataError
from backends.data.hashcache import cache_file, cached_hashes
from backends.data.sample import Sample
from backends.data.subset import choose_stratified
from backends.data.validate import measured_sizes, resolved_root
from backends.jobs.store import read_spec
from db.connect import connect
from db.home import Home
from db.runs.queries import list_runs

SECONDS = 5.0
"""So long images are looked at; the job itself looks at all of them when it starts."""
HISTORY = 200
_SLOW = (".dcm", ".dicom")
Place = tuple[Path, Path | None]
"""A data file and its image root."""


@dataclass(frozen=True)
class Preview:
    """``against``: the data that it is compared with, held-out or last evaluated; None where there are none."""

    training: Composition
    against: Path | None
    warnings: tuple[str, ...]
    unchecked: bool = False
    """Not all images were looked at: the job does when it starts."""
    image_sizes: tuple[tuple[int, int, int], ...] = ()
    """Width, height and count of the sizes of some of the training images."""
    held_out: int = 0
    """Questions in the held-out file; 0 where none is named."""


def preview_finetune(
    home: Home,
    data: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    eval_data: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seconds: float = SECONDS,
    seed: int = 0,
) -> Preview:
    """Read the training data as the job will, and the held-out data (else those of the newest ``gt`` evaluation).

    Raises:
        DataError: one of the given files cannot be read. What an evaluation used and is gone now is passed over.
    """
    root = Path(image_root) if image_root else None
    training = _Read.of((Path(data), root), limit, seed)
    counts, sizes = composition(training.samples), training.image_sizes
    held_out = _Read.of((Path(eval_data), root)) if eval_data else None
    asked = held_out or _evaluated(home)
    if asked is None:
        return Preview(counts, None, (), image_sizes=sizes)
    warnings = composition_warnings(counts, composition(asked.samples))
    found, whole = _overlap(home, training, asked, seconds)
    what = "held-out data" if held_out else str(asked.place[0])
    warnings += [f"{what}: {text}" for text in found]
    questions = len(held_out.samples) if held_out else 0
    return Preview(counts, asked.place[0], tuple(warnings), not whole, sizes, questions)


@dataclass(frozen=True)
class _Read:
    place: Place
    samples: list[Sample]
    image_sizes: tuple[tuple[int, int, int], ...] = ()
    """Of the whole file, as they are measured when it is queued."""

    @classmethod
    def of(cls, place: Place, limit: int | None = None, seed: int = 0) -> _Read:
        path, root = place[0].expanduser().absolute(), place[1]
        found = resolved_root(path, root, "finetune")  # as the job will have it, so that both keep hashes in one place
        samples = list(open_data(path, "finetune", found))
        return cls((path, found), choose_stratified(samples, limit, seed), measured_sizes(samples))


def _evaluated(home: Home) -> _Read | None:
    """The data of the newest evaluation against reference answers, where they are still there."""
    try:
        with closing(connect(home.runs_db, read_only=True)) as conn:
            runs = list_runs(conn, limit=HISTORY)
    except sqlite3.Error:
        return None
    for run in reversed(runs):
        if run.kind == "eval" and run.task == "gt":
            data = (read_spec(home.run_dir(run.id)) or {}).get("data") or {}
            try:
                root = data.get("image_root")
                return _Read.of((Path(data["path"]), Path(root) if root else None))
            except (KeyError, OSError, DataError):
                continue
    return None


def _overlap(home: Home, training: _Read, asked: _Read, seconds: float) -> tuple[list[str], bool]:
    """What is shared in words, and whether all images were looked at."""
    if find_spec("PIL") is None:
        return [], False
    end = time.monotonic() + seconds
    hashed = []
    for one in (asked, training):
        quick = [sample for sample in one.samples if sample.image_file.suffix.lower() not in _SLOW]
        kept = cache_file(home.image_hashes, *one.place)
        # One thread: this runs beside a screen that is being drawn.
        found = cached_hashes(quick, kept, stop=lambda: time.monotonic() > end, threads=1)
        hashed.append((found, found.whole and len(quick) == len(one.samples)))
    shared = shared_images(hashed[1][0], hashed[0][0])
    words = [overlap_words(shared, _images(asked.samples))] if shared else []
    return words, all(whole for _, whole in hashed)


def _images(samples: Iterable[Sample]) -> int:
    return len({sample.image_path for sample in samples})
