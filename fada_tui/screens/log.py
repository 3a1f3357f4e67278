"""The log of a run: its end, and what is added, as it comes. Escapes in it are shown, not obeyed."""

from __future__ import annotations

import codecs
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.message import Message

from db.runs.rows import Run
from fada_tui.screens.full import FullScreen
from fada_tui.text import printable
from fada_tui.widgets.line import Row
from fada_tui.widgets.status import what

KEPT = 5000
PERIOD_S = 0.4


class LogScreen(FullScreen):
    """Follows while the last line is in sight; scrolling up stops that, G goes on."""

    @dataclass
    class Added(Message):
        """Whole lines, and the unfinished one after them."""

        lines: list[str]
        rest: str

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"Log of #{run.id} {what(run)} {run.label}", "j k scroll · g top · G follow · y copy the end · esc back"
        )
        self._nothing = "Nothing was logged." if run.is_over else "Nothing in the log yet."
        self._path = Path(run.run_dir) / "log.txt"
        self._stop = threading.Event()
        self._lines: list[str] = []
        self._rest = ""

    BINDINGS: ClassVar[list[BindingType]] = [("y", "copy", "copy")]

    def on_mount(self) -> None:
        super().on_mount()
        self.view.show([Row(((self._nothing, "dim"),))])
        self._follow()

    def on_unmount(self) -> None:
        self._stop.set()

    @work(thread=True, exit_on_error=False)
    def _follow(self) -> None:
        from backends.jobs.logs import read_from, tail_bytes

        data, offset = tail_bytes(self._path, KEPT)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        while not self._stop.is_set():
            if data:
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                self.post_message(self.Added(lines, rest))
            self._stop.wait(PERIOD_S)
            data, offset = read_from(self._path, offset)

    @on(Added)
    def _added(self, event: Added) -> None:
        following = self.view.scroll_offset.y >= self.view.max_scroll_y - 1
        self._lines = [*self._lines, *(_settled(line) for line in event.lines)][-KEPT:]
        rest = _settled(event.rest)
        self.view.show([Row(((line, ""),)) for line in (*self._lines, *((rest,) if rest else ()))])
        if following:
            self.view.scroll_end(animate=False)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard("\n".join(self._lines[-200:]))
        self.app.notify("the last lines of the log", title="Copied", markup=False, timeout=3)


def _settled(line: str) -> str:
    """A progress bar's last state, as a terminal would show it; everything else made visible."""
    return printable(line.rstrip("\r").rsplit("\r", 1)[-1])
