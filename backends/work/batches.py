"""Which questions are asked together: decided by the data and the batch sizes alone, so that a resumed run repeats it.

Who shares a batch can move the last bits of a result and with them an answer, on a card more than on a CPU.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from backends.data.sample import Sample
from backends.jobs.files import read_json, write_json

WINDOW = 8
"""Batches among which questions are sorted. FADA asks eight questions an image, so a batch is one question of a
window's images: alike in length, and in how long the answers get, the longest of which a batch waits for."""


@dataclass(frozen=True)
class Batch:
    """Questions asked at once; ``start`` is the place of the first in the plan."""

    start: int
    samples: Sequence[Sample]


class BatchPlan:
    """The questions in the order in which they are asked, and where batches begin.

    Each window of the data is sorted by length, the longest first, so that memory runs out early if it does; windows
    stay in file order, so that the answered ones are whole images. The length is that of the text: images of a window
    are neighbours in the file and mostly of a size.

    Args:
        batch_size: At most so many at once; fewer where ``path`` says that memory ran out before.
        path: File that remembers the sizes for the run; None remembers nothing.
    """

    def __init__(self, samples: Sequence[Sample], batch_size: int, path: Path | None = None) -> None:
        self._path = path
        known = _remembered(path)
        self._window, self._cuts = known or (WINDOW * batch_size, [(0, batch_size)])
        self.samples = _sorted(samples, self._window)
        if known is None:
            self._remember()

    @property
    def batch_size(self) -> int:
        """What the last batches have."""
        return self._cuts[-1][1]

    def batches(self, skip: Container[str] = (), start: int = 0) -> Iterator[Batch]:
        """Those from the place ``start`` on that have a question whose id is not in ``skip``, whole."""
        bounds = [*self._cuts, (len(self.samples), 1)]
        for (first, size), (end, _) in pairwise(bounds):
            for at in range(first, min(end, len(self.samples)), size):
                batch = Batch(at, self.samples[at : min(at + size, end)])
                if at >= start and any(sample.id not in skip for sample in batch.samples):
                    yield batch

    def shrink(self, start: int, batch_size: int) -> None:
        """From ``start`` (where a batch begins) on, take at most ``batch_size`` at once."""
        self._cuts = [*(cut for cut in self._cuts if cut[0] < start), (start, batch_size)]
        self._remember()

    def _remember(self) -> None:
        if self._path is not None:
            write_json(self._path, {"window": self._window, "sizes": self._cuts})


def _sorted(samples: Sequence[Sample], window: int) -> list[Sample]:
    def order(sample: Sample) -> tuple[int, str]:
        return -len(sample.question) - len(sample.system or ""), sample.question

    windows = (samples[at : at + window] for at in range(0, len(samples), window))
    return [sample for part in windows for sample in sorted(part, key=order)]


def _remembered(path: Path | None) -> tuple[int, list[tuple[int, int]]] | None:
    """Window and sizes of an earlier attempt; None where there was none or the file is not one of ours."""
    document = (read_json(path) if path is not None else None) or {}
    try:
        window, cuts = int(document["window"]), [(int(start), int(size)) for start, size in document["sizes"]]
    except (KeyError, TypeError, ValueError):
        return None
    rising = all(left[0] < right[0] for left, right in pairwise(cuts))
    whole = window > 0 and bool(cuts) and cuts[0][0] == 0 and all(size > 0 for _, size in cuts)
    return (window, cuts) if whole and rising else None
