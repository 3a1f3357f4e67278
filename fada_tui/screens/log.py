"""The log of a run, of any size: its end as it comes, any other part of it, and a search. Escapes are shown."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from db.runs.rows import Run
from fada_tui.format import percent, size
from fada_tui.screens.full import FullScreen
from fada_tui.screens.logview import LogView
from fada_tui.sources.logreader import LogReader, Window
from fada_tui.sources.logsearch import Needle, search
from fada_tui.text import printable
from fada_tui.widgets.status import what

KEYS = "← → sideways · g top · G follow · / search · y copy · ? keys · esc back"
FOUND = "n older · N newer · / search · esc ends the search · G follow"
TOLD_S = 0.3
"""A search that takes longer says this often how far it has come."""


class LogScreen(FullScreen):
    """Follows while the last line is in sight; scrolling up stops that, G goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "back"),
        Binding("y", "copy", "copy"),
        Binding("slash", "ask", "search"),
        Binding("n", "next(True)", "older match"),
        Binding("N", "next(False)", "newer match"),
        Binding("left,h", "sideways(-1)", "left"),
        Binding("right,l", "sideways(1)", "right"),
    ]

    @dataclass
    class Moved(Message):
        """Another part of the log, or more of it."""

        window: Window

        def can_replace(self, message: Message) -> bool:
            """The newest window is enough, unless this one goes where somebody wanted to be."""
            return isinstance(message, LogScreen.Moved) and self.window.target is None

    @dataclass
    class Searched(Message):
        """A search has come so far; ``found`` is where the line begins once it is ``over``."""

        number: int
        read: int
        over: bool = False
        found: int | None = None
        trouble: str = ""

    def __init__(self, run: Run) -> None:
        super().__init__(f"Log of #{run.id} {what(run)} {run.label}", KEYS)
        self._path = Path(run.run_dir) / "log.txt"
        self._reader = LogReader(self._path, lambda window: self.post_message(self.Moved(window)))
        self._nothing = "Nothing was logged." if run.is_over else "Nothing in the log yet."
        self._input = Input(id="filter", placeholder="search the log, the newest first; enter searches, esc leaves")
        self._number = 0
        self._stop_search = threading.Event()
        self._older = True
        self._asked_for: tuple[int, int, bool] | None = None

    @property
    def log_view(self) -> LogView:
        assert isinstance(self.view, LogView)
        return self.view

    def make_view(self) -> LogView:
        return LogView()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self._input

    def on_mount(self) -> None:
        self._input.display = False
        self.log_view.say(self._nothing)
        self._read()

    def on_unmount(self) -> None:
        self._stop_search.set()
        self._reader.stop()

    @work(thread=True, exit_on_error=False)
    def _read(self) -> None:
        self._reader.run()

    @on(Moved)
    def _moved(self, event: Moved) -> None:
        if event.window.lines:
            self.log_view.take(event.window)
        # After the view has scrolled to where that is.
        self.log_view.call_after_refresh(self._look_around)

    # Moving

    def action_edge(self, direction: int) -> None:
        if direction < 0:
            self._reader.go(0)
        elif self.log_view.window.following:
            self.view.scroll_end(animate=False)
        else:
            self._reader.tail()

    def action_sideways(self, direction: int) -> None:
        self.log_view.sideways(direction)

    @on(LogView.Scrolled)
    def _scrolled(self) -> None:
        """The end in sight is followed, but not away from a match; left it is not."""
        view, window = self.log_view, self.log_view.window
        if view.on_the_way:
            return
        if window.following and not view.at_end:
            self._reader.stay()
        elif not window.following and view.at_end and window.end >= window.size and not view.needle.text:
            self._reader.tail()
        self._look_around()

    def _look_around(self) -> None:
        """Have more read before an edge of the window comes in sight; once, whatever is pressed meanwhile."""
        view = self.log_view
        if view.on_the_way:
            return
        window, height = view.window, view.size.height
        ask = (window.start, window.end, window.following)
        if ask != self._asked_for:
            if window.start > 0 and view.scroll_offset.y < height:
                self._asked_for = ask
                self._reader.older()
            elif not window.following and window.end < window.size and view.lines_below < height:
                self._asked_for = ask
                self._reader.newer()
        self._say_where()

    def _say_where(self) -> None:
        window = self.log_view.window
        if not window.lines:
            return
        place = "following" if window.following else f"at {percent(self.log_view.top_offset / max(1, window.size))}"
        self.view.set_title(self._title_text, f"{place} of {size(window.size)}")

    # Searching

    def action_ask(self) -> None:
        self._stop_search.set()
        self.keys.display = False
        self._input.display = True
        self._input.value = self.log_view.needle.text
        self.set_focus(self._input)

    @on(Input.Submitted)
    def _asked(self, event: Input.Submitted) -> None:
        self._close_input()
        self.log_view.mark(Needle(event.value), None)
        if event.value:
            self._search(self.log_view.bottom_offset + 1, older=True)
        else:
            self._say_keys(KEYS)

    def _close_input(self) -> None:
        self._input.display = False
        self.keys.display = True
        self.set_focus(self.view)

    def action_next(self, older: bool) -> None:
        view = self.log_view
        if view.needle.text:
            here = view.current if view.current is not None else view.bottom_offset
            self._search(here, older=older)

    def _search(self, start: int, *, older: bool) -> None:
        self._stop_search.set()
        self._stop_search = threading.Event()
        self._number += 1
        self._older = older
        self._reader.stay()
        self._say_keys(f"searching {self.log_view.needle.text} …")
        self._run_search(self._number, self._stop_search, self.log_view.needle, start, older)

    @work(thread=True, exit_on_error=False)
    def _run_search(self, number: int, stopped: threading.Event, needle: Needle, start: int, older: bool) -> None:
        told = time.monotonic()

        def seen(read: int) -> bool:
            nonlocal told
            if time.monotonic() - told > TOLD_S:
                told = time.monotonic()
                self.post_message(self.Searched(number, read))
            return not stopped.is_set()

        try:
            found = search(self._path, needle, start, older=older, seen=seen)
        except OSError as error:
            self.post_message(self.Searched(number, 0, True, trouble=error.strerror or str(error)))
            return
        if not stopped.is_set():
            self.post_message(self.Searched(number, 0, True, found))

    @on(Searched)
    def _searched(self, event: Searched) -> None:
        if event.number != self._number or self._stop_search.is_set():
            return
        text = self.log_view.needle.text
        if not event.over:
            self._say_keys(f"searching {text} … {size(event.read)} read · esc stops")
            return
        self._stop_search.set()
        if event.found is not None:
            self.log_view.mark(self.log_view.needle, event.found)
            self._reader.go(event.found)
            self._say_keys(f"{text}: {FOUND}")
            return
        where = ("older", "N goes to newer ones") if self._older else ("newer", "n goes to older ones")
        said = event.trouble or f"no {where[0]} {text} · {where[1]}"
        self._say_keys(f"{said} · / search · esc ends it")

    def _say_keys(self, text: str) -> None:
        self.keys.update(Content(printable(text)))

    def action_back(self) -> None:
        """Out of the search line, then of the search, then of the log."""
        if self._input.display:
            self._close_input()
        elif self.log_view.needle.text:
            self._stop_search.set()
            self._number += 1
            self.log_view.mark(Needle(""), None)
            self._say_keys(KEYS)
        else:
            super().action_back()

    def action_copy(self) -> None:
        lines = self.log_view.in_sight()
        self.app.copy_to_clipboard("\n".join(lines))
        self.app.notify(f"{len(lines)} lines in sight", title="Copied", markup=False, timeout=3)
