"""The terminal driver, mended where Textual 8.2.8 crashes over SSH and tmux."""

from __future__ import annotations

import codecs
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO, Any

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver


class InputDecoder:
    """What Textual's input thread decodes with: bytes that are no UTF-8 become U+FFFD, and the end of the input
    is the end of the panel. A terminal that has vanished is readable for ever and gives nothing: without this the
    thread would take a whole core, unseen.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def decode(self, data: bytes, final: bool = False) -> str:
        if not data and not final:
            self._on_end()
        return self._decode(data, final)


class TerminalFile:
    """A terminal that may go away. An error would end Textual's writer thread; the queue before it holds 30 writes,
    so the app would then wait for room for ever instead of ending when its SSH connection drops.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class PanelDriver(LinuxDriver):
    """After a tmux re-attach mouse reports can come in the legacy X10 form, whose coordinates beyond column 95
    are bytes that are no UTF-8: the input thread then ended the app (Textualize/textual#6668). Here such bytes
    become U+FFFD and the report is ignored.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file: Any = TerminalFile(self._file)

    def _get_terminal_size(self) -> tuple[int, int]:
        """The terminal's own word: Textual believes an exported COLUMNS and LINES, however old, before it."""
        try:
            columns, rows = os.get_terminal_size(self._file.fileno())
        except OSError:
            return super()._get_terminal_size()
        return (columns, rows) if columns and rows else super()._get_terminal_size()

    def run_input_thread(self) -> None:
        # The strict decoder is made inside the base method; its factory is the one seam there is.
        linux_driver.getincrementaldecoder = lambda _: partial(InputDecoder, self._hang_up)  # type: ignore[attr-defined, assignment]
        super().run_input_thread()

    def _hang_up(self) -> None:
        self.exit_event.set()
        signal.raise_signal(signal.SIGHUP)
