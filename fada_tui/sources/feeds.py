"""What feeds the panel: the threads that watch the databases, sample the machine and keep the index true."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fada_tui.sources.watcher import Watcher

if TYPE_CHECKING:
    from fada_tui.app import PanelApp


@dataclass(frozen=True)
class Wanted:
    """What is to be shown.

    Args:
        start: A run to show at first.
        replay: A record of telemetry to show instead of this machine as it is.
        speed: How many of its seconds are played in one.
    """

    start: int | None = None
    replay: Path | None = None
    speed: float = 1.0


class Feeds:
    """Starts them for one app, hands on what it wants of them, and stops them with it."""

    def __init__(self, app: PanelApp, wanted: Wanted) -> None:
        self._app = app
        self._wanted = wanted
        self._painted = threading.Event()
        """The tracker is on the screen; what else is read would only hold that up."""
        self._over = False
        self._stops: list[Callable[[], None]] = []
        self._watcher: Watcher | None = None
        self.history_calls: list[Callable[[float | None], None]] = []

    def watch(self) -> None:
        """The tracker at once; what else the databases hold, once :meth:`start_others` is called."""
        self._app.run_worker(self._watch, thread=True, exit_on_error=False, group="watch")

    def start_others(self) -> None:
        """The tracker is on the screen."""
        self._painted.set()
        self._app.run_worker(self._sample, thread=True, exit_on_error=False, group="telemetry")
        self.reconcile(always=True)

    def reconcile(self, *, always: bool = False, doubtful: bool = False) -> None:
        """What every `fada` command does: see that the index is true and that a dispatcher runs where work waits.

        A short worker each time: the thread pool is small, and the two sources hold a thread each for good.
        """
        from fada_tui.sources.reconciler import keep_true

        self._app.run_worker(
            lambda: keep_true(self._app.home, always=always, doubtful=doubtful),
            thread=True,
            exit_on_error=False,
            group="reconcile",
            exclusive=True,
        )

    def stop_with_me(self, stop: Callable[[], None]) -> None:
        """A source that only begins while the panel ends would keep its process for ever."""
        self._stops.append(stop)
        if self._over:
            stop()

    def stop(self) -> None:
        self._over = True
        self._painted.set()
        for stop in self._stops:
            stop()

    def choose_run(self, run_id: int | None) -> None:
        if self._watcher is not None:
            self._watcher.choose(run_id)

    def watch_history(self, span: float | None) -> None:
        """The seconds that the GPU pane's history is wanted of; None: it is not looked at."""
        for call in self.history_calls:
            call(span)

    def nudge(self) -> None:
        """The databases are looked at now."""
        if self._watcher is not None:
            self._watcher.nudge()

    def _watch(self) -> None:
        watcher = Watcher(self._app.home, self._app.post_message, self._painted)
        self.stop_with_me(watcher.stop)
        if self._wanted.start is not None:
            watcher.choose(self._wanted.start)
        self._watcher = watcher
        watcher.run()

    def _sample(self) -> None:
        from fada_tui.sources.telemetry import TelemetrySource

        if self._wanted.replay is not None:
            from backends.telemetry.symptoms import read_wishes
            from fada_tui.sources.replay import ReplaySource

            limits = read_wishes(self._app.home.config).limits
            source: TelemetrySource | ReplaySource = ReplaySource(
                self._wanted.replay, self._app.post_message, self._wanted.speed, limits
            )
        else:
            source = TelemetrySource(self._app.home, self._app.post_message)
        self.stop_with_me(source.stop)
        self.history_calls.append(source.watch_history)
        source.run()
