"""Telemetry from a thread: the dispatcher's samples while it lives, else one of our own each second."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from textual.message import Message

from backends.jobs.alarms import read_state, state_file
from backends.jobs.lock import is_held
from backends.jobs.reconcile import worker_pids
from backends.telemetry.codec import from_dict
from backends.telemetry.rules import Alert, Known, alerts_of, step
from backends.telemetry.sample import Telemetry
from backends.telemetry.sampler import Sampler
from backends.telemetry.symptoms import lasting, read_wishes, symptoms
from db.connect import connect
from db.home import Home
from db.runs.queries import latest_samples
from db.runs.telemetry import history, marks
from fada_tui.messages import TelemetryLoaded
from fada_tui.sources.steady import steady
from fada_tui.sources.views import History, TelemetryView

PERIOD_S = 1.0
REST_S = 2.0
"""Where there is no card and nothing runs: half the work of a panel that nobody needs to look at."""
KEPT = 600
STALE_S = 5.0
HISTORY_S = 5.0
"""So often a history that is looked at is read again."""
_LONG = 20_000
"""A month of minutes takes a quarter of a second to read: seldom, then."""
BUCKETS = 240


class TelemetrySource:
    """Runs in one thread until :meth:`stop`; the app's thread only calls :meth:`watch_history` besides.

    Args:
        home: Whose dispatcher and samples.
        post: Thread-safe: hands a message to the app.
    """

    def __init__(self, home: Home, post: Callable[[Message], object]) -> None:
        self._home = home
        self._post = post
        self._stopped = False
        self._wake = threading.Event()
        self._samples: deque[Telemetry] = deque(maxlen=KEPT)
        self._span: float | None = None
        self._history: History | None = None
        self._history_at = float("-inf")
        self._known: dict[str, Known] = {}
        self._wishes = read_wishes(home.config)
        self._stamp = -1
        self._told: tuple[Alert, ...] = ()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def watch_history(self, span: float | None) -> None:
        """The seconds that a history is wanted of; None: nobody looks at one."""
        if span != self._span:
            self._span, self._history_at = span, float("-inf")
            if span is not None:
                self._wake.set()

    def run(self) -> None:
        with Sampler(self._home) as sampler:
            while not self._stopped:
                self._wake.clear()
                self._wake.wait(self._round(sampler))

    def _round(self, sampler: Sampler) -> float:
        """One sample to the app; how long the next one can wait."""
        recorded = self._recorded()
        fresh = recorded and self._samples and time.time() - self._samples[-1].time < STALE_S
        roots = {} if fresh else self._roots()
        alerts = self._dispatchers_alerts() if recorded else ()
        if not fresh:
            sample = sampler.sample(roots)
            if not recorded:
                alerts = self._own_alerts(sample)
            at_rest = not roots and bool(self._samples)
            self._samples.append(steady(sample, self._samples[-1]) if at_rest else sample)
        view = TelemetryView(tuple(self._samples), recorded, alerts, self._wishes.bell, self._read_history())
        self._post(TelemetryLoaded(view))
        newest = self._samples[-1]
        busy = recorded or roots or newest.gpus or newest.silent_s is not None
        return PERIOD_S if busy else REST_S

    def _recorded(self) -> bool:
        """Take over what the dispatcher wrote since the last look; False where none is alive."""
        if not is_held(self._home.dispatcher_lock):
            return False
        since = self._samples[-1].time if self._samples else time.time() - KEPT
        try:
            with closing(connect(self._home.runs_db, read_only=True)) as conn:
                self._samples.extend(from_dict(document) for document in latest_samples(conn, since, KEPT))
        except sqlite3.Error:
            # The watcher reports databases that cannot be read; samples of our own do meanwhile.
            return False
        return True

    def _roots(self) -> dict[int, int]:
        """Run id to the pid of its worker, for every run alive."""
        try:
            with closing(connect(self._home.runs_db, read_only=True)) as conn:
                return worker_pids(conn, self._home)
        except sqlite3.Error:
            return {}

    def _dispatchers_alerts(self) -> tuple[Alert, ...]:
        try:
            stamp = state_file(self._home).stat().st_mtime_ns
        except OSError:
            return ()
        if stamp != self._stamp:
            self._stamp = stamp
            self._told = tuple(sorted(read_state(self._home)[0], key=lambda alert: (-alert.since, alert.key)))
        self._known = {alert.key: Known(alert=alert) for alert in self._told}
        return self._told

    def _own_alerts(self, sample: Telemetry) -> tuple[Alert, ...]:
        """What the machine alone tells; nobody's command is called for it."""
        self._known = step(self._known, lasting(symptoms(sample), self._known), self._wishes.limits, sample.time).known
        return alerts_of(self._known)

    def _read_history(self) -> History | None:
        span = self._span
        if span is None:
            self._history = None
        elif time.monotonic() - self._history_at >= max(HISTORY_S, span / _LONG):
            self._history_at = time.monotonic()
            until = time.time()
            try:
                with closing(connect(self._home.runs_db, read_only=True)) as conn:
                    spans = tuple(history(conn, until - span, until, BUCKETS))
                    self._history = History(until - span, until, spans, tuple(marks(conn, until - span, until)))
            except sqlite3.Error:
                self._history = self._history and replace(self._history, until=until)
        return self._history
