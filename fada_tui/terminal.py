"""An app that treats its terminal well: it sends what changed alone, leaves it as it was, and steps back on ctrl+z."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from textual._compositor import CompositorUpdate
from textual.app import App
from textual.driver import Driver
from textual.screen import Screen

from fada_tui.cells import CellUpdate, Painter


class TerminalApp(App[str]):
    """Args: ``diff``: send the cells that changed, not whole regions; ``shown``: from the beginning."""

    def __init__(self, *, diff: bool, shown: bool) -> None:
        super().__init__()
        self.painter = Painter() if diff else None
        """None where the user wants whole regions."""
        self.shown = shown
        """Whether anything is sent yet."""

    def get_driver_class(self) -> type[Driver]:
        from fada_tui.driver import PanelDriver

        chosen = super().get_driver_class()
        return PanelDriver if chosen.__name__ == "LinuxDriver" else chosen

    def heed_signals(self) -> None:
        """Textual would die at once and leave the alternate screen and mouse reports on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, self._ended_by, number)

    def parting_words(self) -> str | None:
        """What is printed once the panel has closed."""
        return None

    def _ended_by(self, number: signal.Signals) -> None:
        self.exit(return_code=128 + number, result=self.parting_words())

    def _display(self, screen: Screen[object], renderable: Any) -> None:
        """Nothing is sent before there is something to see: empty panes would be painted over three times."""
        if not self.shown:
            return
        if self.painter is not None and isinstance(renderable, CompositorUpdate) and self._is_written:
            renderable = CellUpdate(renderable, self.painter, self.size, self.console)
            cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
            # Textual would still write where the cursor is, and that an update begins and ends.
            if renderable.is_empty and cursor == self._previous_cursor_position:
                return
        super()._display(screen, renderable)

    @property
    def _is_written(self) -> bool:
        """Whether what is displayed now reaches the terminal: what does not must not be taken as shown."""
        return self._running and not self._closed and not self.is_headless and not self._batch_count

    def action_repaint(self) -> None:
        """Everything again: something else has written to the terminal."""
        if self.painter is not None:
            self.painter.forget()
        self.screen.refresh()

    def action_suspend(self) -> None:
        """Back to the shell until `fg`; where there is none, nobody could wake us again."""
        if self.is_headless or not has_shell():
            self.notify("No shell waits behind the panel. q closes it; jobs go on.", severity="warning", markup=False)
            return
        # All of the job, as the terminal itself does it: the shell waits for `make run` too, not for us alone.
        os.killpg(os.getpgrp(), signal.SIGTSTP)


def has_shell() -> bool:
    """Whether whoever started this process group is in the same session, and so sees that it has stopped."""
    import psutil

    group = os.getpgrp()
    above = next((parent.pid for parent in psutil.Process().parents() if os.getpgid(parent.pid) != group), None)
    return above is not None and os.getsid(above) == os.getsid(0)
