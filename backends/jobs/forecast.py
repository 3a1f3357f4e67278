"""When the queue should be finished: measured rates, earlier runs like the waiting ones, and the rules of admission.

Pure functions on frozen data. What is not known stays unknown, and which run it is that nobody knows is said.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.jobs.admission import Capacity, Claim, admit

_MOST_UNLIKE = 4.0
"""An earlier run with up to this many times more or fewer questions says something about this one."""


@dataclass(frozen=True)
class Work:
    """One run as far as the forecast needs it. ``seconds`` are those to go, from now or from its start."""

    run: int
    state: str
    seconds: float | None
    after: tuple[int, ...] = ()
    reserved: int = 0
    exclusive: bool = False


@dataclass(frozen=True)
class Span:
    """When a run should start and end (Unix seconds); None: not known."""

    run: int
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Forecast:
    """``done_at`` is None where something is unknown; ``unknown`` says which runs nobody knows the length of."""

    spans: tuple[Span, ...]
    done_at: float | None
    unknown: tuple[int, ...]

    def span(self, run: int) -> Span | None:
        return next((span for span in self.spans if span.run == run), None)


@dataclass(frozen=True)
class Past:
    """An earlier run that was done in one attempt, in so many seconds."""

    spec: dict[str, Any]
    seconds: float


def forecast(works: Sequence[Work], capacity: Capacity, now: float) -> Forecast:
    """Play the queue forward: what runs ends when it should, what waits starts as the dispatcher would start it.

    Every job is taken to succeed. Held and paused runs wait for a person: what they hold up has no time.

    Args:
        works: Everything that is not over, in queue order.
        now: Unix seconds.
    """
    starts: dict[int, float] = {}
    ends: dict[int, float | None] = {}
    active: list[Work] = []
    for work in works:
        if work.state not in ("queued", "held"):
            starts[work.run] = now
            ends[work.run] = _end(work, now)
            active.append(work)
    waiting = [work for work in works if work.state == "queued"]
    unfinished = {work.run for work in works}
    at = now
    while True:
        _start_what_fits(waiting, active, unfinished, capacity, at, starts, ends)
        coming = [end for work in active if (end := ends[work.run]) is not None]
        if not coming:
            break
        at = max(at, min(coming))
        over = [work for work in active if (end := ends[work.run]) is not None and end <= at]
        unfinished -= {work.run for work in over}
        active = [work for work in active if work not in over]
    spans = tuple(Span(work.run, starts.get(work.run), ends.get(work.run)) for work in works)
    counted = [span.end for span, work in zip(spans, works, strict=True) if work.state != "held"]
    known = [end for end in counted if end is not None]
    unknown = tuple(work.run for work in works if work.seconds is None and work.state != "held")
    return Forecast(spans, max(known) if known and len(known) == len(counted) else None, unknown)


def _start_what_fits(
    waiting: list[Work],
    active: list[Work],
    unfinished: set[int],
    capacity: Capacity,
    at: float,
    starts: dict[int, float],
    ends: dict[int, float | None],
) -> None:
    ready = [work for work in waiting if not unfinished.intersection(work.after)]
    verdicts = admit([_claim(work) for work in ready], [_claim(work) for work in active], capacity)
    for work, verdict in zip(ready, verdicts, strict=True):
        if verdict.reason is None:
            starts[work.run], ends[work.run] = at, _end(work, at)
            active.append(work)
            waiting.remove(work)


def _claim(work: Work) -> Claim:
    return Claim(work.run, work.reserved, work.exclusive)


def _end(work: Work, start: float) -> float | None:
    if work.seconds is None or work.state == "paused":
        return None
    return start + max(0.0, work.seconds)


def expected_seconds(spec: dict[str, Any], pasts: Iterable[Past]) -> float | None:
    """How long a run like this took, by the first of ``pasts`` (newest first) that is like it; None: none is."""
    for past in pasts:
        if _kind(past.spec) != _kind(spec):
            continue
        asked, before = _questions(spec), _questions(past.spec)
        if asked is None or before is None:
            return past.seconds
        if 1 / _MOST_UNLIKE <= asked / before <= _MOST_UNLIKE:
            return past.seconds * asked / before
    return None


def _kind(spec: dict[str, Any]) -> str:
    """What decides how long a question or a step takes, to be compared."""
    model, training = spec.get("model") or {}, spec.get("training") or {}
    held_out = training.get("eval_data") or {}
    decides = {
        "what": [spec.get(key) for key in ("kind", "task", "command", "work", "device", "generation")],
        "model": [model.get("source"), model.get("name"), model.get("from_run") is None],
        "training": {key: value for key, value in training.items() if key not in ("eval_data", "limit", "seed")},
        "held_out": held_out.get("samples"),
    }
    return json.dumps(decides, sort_keys=True, default=str)


def _questions(spec: dict[str, Any]) -> int | None:
    count = (spec.get("data") or {}).get("samples")
    return count if isinstance(count, int) and count > 0 else None


def in_words(found: Forecast, now: float) -> str | None:
    """``done by 07:40``, or whose length is not known; None where nothing is to be done."""
    if not found.spans:
        return None
    if found.done_at is not None:
        return f"done by {clock(found.done_at, now)}"
    if not found.unknown:
        return None
    names = ", ".join(f"#{run}" for run in found.unknown[:5]) + (" …" if len(found.unknown) > 5 else "")
    known = [span.end for span in found.spans if span.end is not None]
    rest = f"; the others by {clock(max(known), now)}" if known else ""
    return f"how long {names} will take is not known{rest}"


def clock(at: float, now: float) -> str:
    """``07:40`` today, ``Tue 07:40`` within a week, else with the date; local time."""
    then, today = time.localtime(at), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%a %H:%M" if at - now < 6 * 86_400 else "%d %b %H:%M", then)
