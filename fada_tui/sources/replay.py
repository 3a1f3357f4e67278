"""A record of telemetry played to the panel in the place of this machine."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from textual.message import Message

from backends.telemetry.hindsight import looked_back
from backends.telemetry.rules import Known, Limit, alerts_of
from backends.telemetry.sample import Gpu, Host, Telemetry
from backends.telemetry.symptoms import LIMITS
from db.runs.telemetry import HOST, Mark, Span
from fada_tui.messages import TelemetryLoaded
from fada_tui.sources.record import read_record
from fada_tui.sources.views import History, TelemetryView

PERIOD_S = 1.0
KEPT = 600
BUCKETS = 240


class ReplaySource:
    """Runs in one thread until :meth:`stop`.

    Args:
        path: The record; it was seen to be one.
        post: Thread-safe: hands a message to the app.
        speed: How many recorded seconds are played in one.
        limits: From where on something is an alert.
    """

    def __init__(
        self,
        path: Path,
        post: Callable[[Message], object],
        speed: float = 1.0,
        limits: Mapping[str, Limit] = LIMITS,
    ) -> None:
        self._path = path
        self._post = post
        self._speed = speed
        self._limits = limits
        self._wake = threading.Event()
        self._stopped = False
        self._span: float | None = None
        self._known: dict[str, Known] = {}

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def watch_history(self, span: float | None) -> None:
        if span != self._span:
            self._span = span
            self._wake.set()

    def run(self) -> None:
        """Play it once; the end stays."""
        samples = read_record(self._path).samples
        times = [sample.time for sample in samples]
        begun, seen = time.monotonic(), 0
        while not self._stopped:
            moment = times[0] + (time.monotonic() - begun) * self._speed
            place = min(len(samples), max(1, bisect_left(times, moment)))
            for _, found in looked_back(samples[seen:place], self._limits, self._known):
                self._known = found.known
            seen = max(seen, place)
            self._post(TelemetryLoaded(self._view(samples, place)))
            self._wake.clear()
            self._wake.wait(PERIOD_S)

    def _view(self, samples: Sequence[Telemetry], place: int) -> TelemetryView:
        newest = samples[place - 1]
        where = time.strftime("%d %b %H:%M:%S", time.localtime(newest.time)) + (" end" if place == len(samples) else "")
        history = None if self._span is None else summarised(samples[:place], newest.time - self._span, newest.time)
        kept = tuple(samples[max(0, place - KEPT) : place])
        return TelemetryView(kept, False, alerts_of(self._known), False, history, where)


def summarised(samples: Sequence[Telemetry], since: float, until: float) -> History:
    """The history of samples; a run's marks are where its processes were first and last seen."""
    first = bisect_left(samples, since, key=lambda sample: sample.time)
    width = max(1.0, (until - since) / BUCKETS)
    buckets: dict[tuple[int, int], list[Gpu | Host]] = {}
    for sample in samples[first:]:
        place = int((sample.time - since) / width)
        buckets.setdefault((place, HOST), []).append(sample.host)
        for gpu in sample.gpus:
            buckets.setdefault((place, gpu.index), []).append(gpu)
    spans = tuple(_span(since + place * width, gpu, parts) for (place, gpu), parts in sorted(buckets.items()))
    return History(since, until, spans, tuple(_marks(samples, first)))


def _span(start: float, gpu: int, parts: Sequence[Gpu | Host]) -> Span:
    busy = [part.cpu if isinstance(part, Host) else part.utilisation for part in parts]
    watts = [part.power_w for part in parts if isinstance(part, Gpu)]
    heat = [part.temperature_c for part in parts if isinstance(part, Gpu)]
    return Span(
        start,
        gpu,
        _mean(busy),
        max((part.memory_used for part in parts if part.memory_used is not None), default=None),
        max((part.memory_total for part in parts if part.memory_total is not None), default=None),
        _mean(watts),
        max((value for value in heat if value is not None), default=None),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _marks(samples: Sequence[Telemetry], first: int) -> list[Mark]:
    found: list[Mark] = []
    before: set[int] = set()
    for place in range(max(0, first - 1), len(samples)):
        sample = samples[place]
        now = {job.run for job in sample.host.jobs}
        if place >= first:
            found += [Mark(sample.time, run, True) for run in sorted(now - before)]
            found += [Mark(sample.time, run, False) for run in sorted(before - now)]
        before = now
    return found
