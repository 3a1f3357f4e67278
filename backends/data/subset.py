"""Which samples a limit takes."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence

from backends.data.sample import Sample

STRATIFIED = "stratified"
"""The way of :func:`choose_stratified`, as a spec's data say it; a spec that says nothing means :func:`choose`."""


def choose(samples: Iterable[Sample], limit: int | None, seed: int = 0) -> list[Sample]:
    """At most ``limit`` samples, in file order.

    FADA's files are sorted by category, so the first N lines would be one category only. Taken instead are those
    whose seeded hash of the id is smallest: the same ones whatever the order, and more of them for a larger limit.
    """
    if limit is None:
        return list(samples)
    ranked = heapq.nsmallest(limit, enumerate(samples), key=lambda entry: _rank(entry[1], seed))
    return [sample for _, sample in sorted(ranked, key=lambda entry: entry[0])]


def choose_stratified(samples: Iterable[Sample], limit: int | None, seed: int = 0) -> list[Sample]:
    """At most ``limit`` samples, in file order: of each category and question its share, of as many as can be one.

    A sample drawn over the whole file alone leaves out what is rare, and may hold one question of a category far more
    often than another. Within a category's question those are taken whose seeded hash of the id is smallest.
    """
    everything = list(samples)
    if limit is None or limit >= len(everything):
        return everything
    strata: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, sample in enumerate(everything):
        strata[sample.category or "", sample.topic].append(place)
    names = sorted(strata)
    taken: list[int] = []
    for name, share in zip(names, _shares([len(strata[name]) for name in names], limit, names, seed), strict=True):
        taken += heapq.nsmallest(share, strata[name], key=lambda place: _rank(everything[place], seed))
    return [everything[place] for place in sorted(taken)]


def _shares(sizes: Sequence[int], limit: int, names: Sequence[tuple[str, str]], seed: int) -> list[int]:
    """How many of each stratum: one of each where the limit allows, the rest by size (largest remainder)."""
    order = sorted(range(len(sizes)), key=lambda at: (_hash(f"{seed}\0{names[at]}"), at))
    if limit <= len(sizes):
        # Not one of each: the larger ones first, chance among equals.
        first = sorted(order, key=lambda at: -sizes[at])[:limit]
        return [int(at in first) for at in range(len(sizes))]
    left, total = limit - len(sizes), sum(sizes) - len(sizes)
    exact = [left * (size - 1) / total for size in sizes]
    shares = [1 + int(part) for part in exact]
    by_remainder = sorted(order, key=lambda at: int(exact[at]) - exact[at])
    for at in by_remainder[: limit - sum(shares)]:
        shares[at] += 1
    return shares


def _rank(sample: Sample, seed: int) -> bytes:
    return _hash(f"{seed}\0{sample.id}")


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
