"""A screen of one list that is read from the databases, and again whenever one of them changes."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from textual import on, work
from textual.message import Message

from db.connect import connect, data_version
from db.home import Home
from fada_tui.screens.full import MOVES, FullScreen
from fada_tui.sources.trouble import explain
from fada_tui.widgets.line import Row, wrap

PERIOD_S = 0.3


class LiveScreen(FullScreen):
    """A subclass says how to :meth:`read` (in a thread) and what the :meth:`rows` of that are."""

    @dataclass
    class Loaded(Message):
        data: Any

    @dataclass
    class Failed(Message):
        text: str
        hint: str | None

    def __init__(self, home: Home, title: str, keys: str = MOVES) -> None:
        super().__init__(title, keys)
        self.home = home
        self.data: Any = None
        """What was read last; None before the first time."""
        self._stop = threading.Event()
        self._again = threading.Event()
        self._wake = threading.Event()

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> object:
        """What is shown; called in a thread with read-only connections. May raise what explains itself."""
        raise NotImplementedError

    def rows(self, data: Any, width: int) -> list[Row]:
        """The lines of what was read, for a width in cells."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.view.show([Row((("Reading …", "dim"),))])
        self._watch()

    def on_unmount(self) -> None:
        self._stop.set()
        self._wake.set()

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def read_again(self) -> None:
        """Read although no database changed: what is asked of them did."""
        self._again.set()
        self._wake.set()

    def read_later(self) -> None:
        """From :meth:`read`: once more in a while, although no database may have changed by then."""
        self._again.set()

    @work(thread=True, exit_on_error=False)
    def _watch(self) -> None:
        before: object = None
        while not self._stop.is_set():
            try:
                with (
                    closing(connect(self.home.fada_db, read_only=True)) as tracker,
                    closing(connect(self.home.runs_db, read_only=True)) as runs,
                ):
                    while not self._stop.is_set():
                        now = (data_version(tracker), data_version(runs))
                        if now != before or self._again.is_set():
                            self._again.clear()
                            before = now
                            self.post_message(self.Loaded(self.read(tracker, runs)))
                        self._wake.wait(PERIOD_S)
                        self._wake.clear()
            except Exception as error:  # noqa: BLE001 - whatever it was, it is shown, and tried again
                self.post_message(self.Failed(*explain(error)))
                self._stop.wait(4 * PERIOD_S)

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        if self.data is None or event.data != self.data:
            self.data = event.data
            self.draw()

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        width = max(20, self.view.scrollable_content_region.width)
        lines = [Row(((text, "error"),)) for text in wrap(event.text, width)]
        if event.hint:
            lines += [Row(((text, ""),)) for text in wrap(f"→ {event.hint}", width)]
        self.data = None
        self.view.show(lines)

    def draw(self) -> None:
        """Make the rows of what was read last once more."""
        width = self.view.scrollable_content_region.width
        if self.data is not None and width > 0:
            self.view.show(self.rows(self.data, width))
