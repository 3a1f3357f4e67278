"""Which samples a limit takes."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable

from backends.data.sample import Sample


def choose(samples: Iterable[Sample], limit: int | None, seed: int = 0) -> list[Sample]:
    """At most ``limit`` samples, in file order.

    FADA's files are sorted by category, so the first N lines would be one category only. Taken instead are those
    whose seeded hash of the id is smallest: the same ones whatever the order, and more of them for a larger limit.
    """
    if limit is None:
        return list(samples)

    def rank(entry: tuple[int, Sample]) -> bytes:
        return hashlib.blake2b(f"{seed}\0{entry[1].id}".encode(), digest_size=8).digest()

    return [sample for _, sample in sorted(heapq.nsmallest(limit, enumerate(samples), key=rank), key=lambda e: e[0])]
