"""When an alert is raised and when it is over: two levels and two times, so that none comes and goes.

Pure: readings and what was known before go in, what is known now and what changed come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limit:
    """Raised at ``raise_at`` for ``raise_s`` seconds without a break, over at ``clear_at`` for ``clear_s``.

    Where ``clear_at`` is the greater, low values are the bad ones.
    """

    raise_at: float
    clear_at: float
    raise_s: float = 0.0
    clear_s: float = 0.0

    def is_bad(self, value: float) -> bool:
        return value <= self.raise_at if self.clear_at > self.raise_at else value >= self.raise_at

    def is_good(self, value: float) -> bool:
        """Between the two levels it is neither."""
        if self.clear_at > self.raise_at:
            return value >= self.clear_at
        return value <= self.clear_at and not self.is_bad(value)


@dataclass(frozen=True)
class Reading:
    """One thing that an alert may be about. ``key`` names it for good; ``value`` None: not known now."""

    key: str
    kind: str
    value: float | None
    text: str
    run: int | None = None


@dataclass(frozen=True)
class Alert:
    """What is the matter, since when it is alerted, and the run that it is about."""

    key: str
    kind: str
    text: str
    since: float
    run: int | None = None


@dataclass(frozen=True)
class Known:
    """What is known of one key: since when it is bad or good without a break, and the alert, where one is up."""

    bad_since: float | None = None
    good_since: float | None = None
    alert: Alert | None = None


@dataclass(frozen=True)
class Step:
    known: dict[str, Known]
    raised: tuple[Alert, ...]
    cleared: tuple[Alert, ...]


def step(known: Mapping[str, Known], readings: Iterable[Reading], limits: Mapping[str, Limit], now: float) -> Step:
    """One look at everything. A key that is not there any more is over; one whose value is not known stays as it is.

    Args:
        limits: By the kind of reading; kinds without one are not watched.
        now: Seconds; where it goes back, times begin anew.
    """
    after: dict[str, Known] = {}
    raised: list[Alert] = []
    for reading in readings:
        limit = limits.get(reading.kind)
        if limit is None:
            continue
        before = known.get(reading.key, Known())
        fresh = _look(before, reading, limit, now)
        if fresh.alert is not None and before.alert is None:
            raised.append(fresh.alert)
        if fresh != Known():
            after[reading.key] = fresh
    cleared = [
        one.alert
        for key, one in known.items()
        if one.alert is not None and (key not in after or after[key].alert is None)
    ]
    return Step(after, tuple(raised), tuple(cleared))


def _look(before: Known, reading: Reading, limit: Limit, now: float) -> Known:
    alert, value = before.alert, reading.value
    if value is None or value != value:
        return Known(alert=alert)  # neither for long enough
    if limit.is_bad(value):
        since = _since(before.bad_since, now)
        if alert is None and now - since >= limit.raise_s:
            alert = Alert(reading.key, reading.kind, reading.text, now, reading.run)
        elif alert is not None:
            alert = replace(alert, text=reading.text)
        return Known(bad_since=since, alert=alert)
    if alert is None:
        return Known()
    if not limit.is_good(value):
        return Known(alert=replace(alert, text=reading.text))
    since = _since(before.good_since, now)
    return Known() if now - since >= limit.clear_s else Known(good_since=since, alert=alert)


def _since(before: float | None, now: float) -> float:
    return now if before is None or before > now else before


def alerts_of(known: Mapping[str, Known]) -> tuple[Alert, ...]:
    """Those that are up, the newest first."""
    found = [one.alert for one in known.values() if one.alert is not None]
    return tuple(sorted(found, key=lambda alert: (-alert.since, alert.key)))
