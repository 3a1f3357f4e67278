"""The terminal driver, mended where Textual 8.2.8 crashes over SSH and tmux."""

from __future__ import annotations

import codecs
import os
from contextlib import suppress
from functools import partial
from typing import IO, Any

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver


def _lenient_decoder(encoding: str) -> Any:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


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
        linux_driver.getincrementaldecoder = _lenient_decoder  # type: ignore[attr-defined]
        super().run_input_thread()
