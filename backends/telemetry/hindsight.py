"""The alerts of a record: what would have been raised while it was made, as far as samples alone tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from backends.telemetry.rules import Known, Limit, Reading, Step, step
from backends.telemetry.sample import Telemetry
from backends.telemetry.symptoms import lasting, symptoms


def looked_back(
    samples: Iterable[Telemetry], limits: Mapping[str, Limit], known: Mapping[str, Known] | None = None
) -> Iterator[tuple[Telemetry, Step]]:
    """Each sample with what it raised and ended, going on from what is ``known``."""
    known = known or {}
    for sample in samples:
        readings = lasting(chain(symptoms(sample), _idle(sample)), known)
        found = step(known, readings, limits, sample.time)
        known = found.known
        yield sample, found


def _idle(sample: Telemetry) -> Iterator[Reading]:
    """How busy the cards are on which jobs hold memory."""
    cards: dict[int, list[float]] = {}
    for gpu in sample.gpus:
        for run in {process.run for process in gpu.processes if process.run is not None}:
            cards.setdefault(run, []).extend([] if gpu.utilisation is None else [gpu.utilisation])
    for run, shares in cards.items():
        yield Reading(f"idle:{run}", "idle", max(shares, default=None), f"#{run} runs and the GPU is idle", run)
