"""The terminal driver, mended where Textual 8.2.8 crashes over SSH and tmux."""

from __future__ import annotations

import codecs
from functools import partial
from typing import Any

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver


def _lenient_decoder(encoding: str) -> Any:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


class PanelDriver(LinuxDriver):
    """After a tmux re-attach mouse reports can come in the legacy X10 form, whose coordinates beyond column 95
    are bytes that are no UTF-8: the input thread then ended the app (Textualize/textual#6668). Here such bytes
    become U+FFFD and the report is ignored.
    """

    def run_input_thread(self) -> None:
        # The strict decoder is made inside the base method; its factory is the one seam there is.
        linux_driver.getincrementaldecoder = _lenient_decoder  # type: ignore[attr-defined]
        super().run_input_thread()
