"""Telemetry from a thread: the dispatcher's samples while it lives, else one of our own each second."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing

from textual.message import Message

from backends.jobs.lock import is_held
from backends.jobs.reconcile import worker_pids
from backends.telemetry.codec import from_dict
from backends.telemetry.sample import Telemetry
from backends.telemetry.sampler import Sampler
from db.connect import connect
from db.home import Home
from db.runs.queries import latest_samples
from fada_tui.messages import TelemetryLoaded
from fada_tui.sources.views import TelemetryView

PERIOD_S = 1.0
REST_S = 2.0
"""Where there is no card and nothing runs: half the work of a panel that nobody needs to look at."""
KEPT = 600
STALE_S = 5.0


class TelemetrySource:
    """Runs in one thread until :meth:`stop`.

    Args:
        home: Whose dispatcher and samples.
        post: Thread-safe: hands a message to the app.
    """

    def __init__(self, home: Home, post: Callable[[Message], object]) -> None:
        self._home = home
        self._post = post
        self._stop = threading.Event()
        self._samples: deque[Telemetry] = deque(maxlen=KEPT)

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        sampler = Sampler(self._home)
        while not self._stop.is_set():
            recorded = self._recorded()
            fresh = recorded and self._samples and time.time() - self._samples[-1].time < STALE_S
            roots = {} if fresh else self._roots()
            if not fresh:
                self._samples.append(sampler.sample(roots))
            self._post(TelemetryLoaded(TelemetryView(tuple(self._samples), recorded)))
            busy = recorded or roots or self._samples[-1].gpus
            self._stop.wait(PERIOD_S if busy else REST_S)

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
