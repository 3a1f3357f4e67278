"""When the queue should be finished: measured rates, earlier runs like the waiting ones, and the rules of admission.

Pure functions on frozen data. What is not known stays unknown, and which run it is that nobody knows is said.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from backends.jobs.admission import Capacity, Claim, admit

_NAMED = 3
_AHEAD = 100
"""So many of those that could start are looked at for one that passes a larger one: thousands take no minutes."""
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
    aside: bool = False
    elsewhere: bool = False
    """On an engine of its own, whose queue nobody here can foresee: while it waits there its end is not known."""


@dataclass(frozen=True)
class Span:
    """When a run should start and end (Unix seconds); None: not known."""

    run: int
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Forecast:
    """``done_at``, the end of all that is not held, is None where something is unknown."""

    spans: tuple[Span, ...]
    done_at: float | None
    unknown: tuple[int, ...]
    """Which runs nobody knows the length of."""
    held: tuple[int, ...] = ()
    paused: tuple[int, ...] = ()
    behind_held: tuple[int, ...] = ()
    """Those that wait, directly or not, for a held one."""
    no_room: tuple[int, ...] = ()
    """Those that do not fit beside what other people's processes hold, although nothing of ours runs."""

    def span(self, run: int) -> Span | None:
        return next((span for span in self.spans if span.run == run), None)


@dataclass(frozen=True)
class Past:
    """An earlier run that was done in one attempt, in so many seconds, pauses left out."""

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
    waiting = [work for work in works if work.state == "queued" and not work.elsewhere]
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
    return Forecast(
        spans,
        max(known) if known and len(known) == len(counted) else None,
        tuple(work.run for work in works if _is_unknown(work)),
        tuple(work.run for work in works if work.state == "held"),
        tuple(work.run for work in works if work.state == "paused"),
        tuple(sorted(_behind_held(works))),
        tuple(work.run for work in waiting if _finds_no_room(work, unfinished, capacity)),
    )


def _is_unknown(work: Work) -> bool:
    return work.state not in ("held", "paused") and (
        work.seconds is None or (work.elsewhere and work.state == "queued")
    )


def _behind_held(works: Sequence[Work]) -> set[int]:
    held = {work.run for work in works if work.state == "held"}
    behind: set[int] = set()
    while more := {work.run for work in works if work.state == "queued" and (held | behind) & {*work.after}} - behind:
        behind |= more
    return behind


def _finds_no_room(work: Work, unfinished: set[int], capacity: Capacity) -> bool:
    """Whether a run that waits for nobody cannot start with the machine to itself."""
    ready = not unfinished.intersection(work.after)
    return ready and admit([_claim(work)], [], capacity)[0].reason is not None


def _start_what_fits(
    waiting: list[Work],
    active: list[Work],
    unfinished: set[int],
    capacity: Capacity,
    at: float,
    starts: dict[int, float],
    ends: dict[int, float | None],
) -> None:
    ready = list(islice((work for work in waiting if not unfinished.intersection(work.after)), _AHEAD))
    here = [_claim(work) for work in active if not work.elsewhere]
    verdicts = admit([_claim(work) for work in ready], here, capacity)
    for work, verdict in zip(ready, verdicts, strict=True):
        if verdict.reason is None:
            starts[work.run], ends[work.run] = at, _end(work, at)
            active.append(work)
            waiting.remove(work)


def _claim(work: Work) -> Claim:
    return Claim(work.run, work.reserved, work.exclusive, work.aside)


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


class Words(NamedTuple):
    """Both empty where nothing is to be done."""

    long: str
    short: str


def in_words(found: Forecast, now: float) -> Words:
    """``done by 07:40``, or every reason why that is not known and what can be foreseen all the same."""
    if found.done_at is not None:
        done = f"done by {clock(found.done_at, now)}"
        left_out = f" without {_names(found.held)}, held" if found.held else ""
        return Words(done + left_out, done)
    if len(found.spans) == len(found.held):
        return Words("", "")
    reasons = [
        (found.paused, "{} paused", "{} paused"),
        (found.unknown, "how long {} will take is not known", "end of {} not known"),
        (found.behind_held, "{} behind what is held", "{} behind what is held"),
        (found.no_room, "{} does not fit beside what others hold", "no room for {}"),
    ]
    said = [(long.format(_names(runs)), short.format(_names(runs))) for runs, long, short in reasons if runs]
    ends = [span.end for span in found.spans if span.end is not None]
    rest = [f"what can be foreseen by {clock(max(ends), now)}"] if ends else []
    if not said:
        return Words("; ".join(["when it is done is not known", *rest]), "end not known")
    return Words("; ".join([*(long for long, _ in said), *rest]), said[0][1])


def _names(runs: Sequence[int]) -> str:
    return ", ".join(f"#{run}" for run in runs[:_NAMED]) + (" …" if len(runs) > _NAMED else "")


def clock(at: float, now: float) -> str:
    """``07:40`` today, ``Tue 07:40`` within a week, else with the date; local time."""
    then, today = time.localtime(at), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%a %H:%M" if at - now < 6 * 86_400 else "%d %b %H:%M", then)
