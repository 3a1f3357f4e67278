"""What the panel does to the terminal, through a real pty: it must leave it as it was."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.drivers._writer_thread import WriterThread

from fada_tui.driver import TerminalFile

CODE = """
import sys
from pathlib import Path
from db.home import Home
from fada_tui.app import PanelApp
if sys.argv[2:]:
    PanelApp.on_ready = lambda self: self.set_interval(0.05, self.dashboard.refresh)
app = PanelApp(Home(Path(sys.argv[1])), live=False)
app.run()
sys.exit(app.return_code or 0)
"""
LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"
STOPS_MOUSE_REPORTS = b"\x1b[?1003l"


@dataclass
class Terminal:
    """A program on a pty of 140 × 40, and everything that it wrote."""

    process: subprocess.Popen[bytes]
    master: int
    output: bytes = b""

    def read_until(self, wanted: bytes, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while wanted not in self.output:
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"{wanted!r} never came; the end was {self.output[-400:]!r}")

    def read_to_end(self) -> None:
        while self._read():
            pass

    def read_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)

    def _read(self, patience_s: float = 20) -> bool:
        if not select.select([self.master], [], [], patience_s)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.output += data
        return bool(data)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with on_a_terminal(tmp_path) as shown:
        yield shown


@contextmanager
def on_a_terminal(*words: Path | str) -> Iterator[Terminal]:
    """A panel without sources; any word behind its HOME has it drawn anew all the time."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", CODE, *map(str, words)], stdin=slave, stdout=slave, stderr=slave, env=env
    )
    os.close(slave)
    shown = Terminal(process, master)
    shown.read_until(b"quit")  # the last word of the footer
    yield shown
    process.kill()
    process.wait()
    os.close(master)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_the_terminal_as_it_was(terminal: Terminal, number: signal.Signals, status: int) -> None:
    terminal.process.send_signal(number)
    terminal.read_to_end()
    assert terminal.process.wait(20) == status
    assert LEAVES_ALTERNATE_SCREEN in terminal.output
    assert STOPS_MOUSE_REPORTS in terminal.output


def test_a_legacy_mouse_report_beyond_column_95_is_survived(terminal: Terminal) -> None:
    os.write(terminal.master, b"\x1b[M\x40" + bytes([32 + 130, 32 + 10]))
    os.write(terminal.master, b"?")
    terminal.read_until(b"Right here")
    os.write(terminal.master, b"q")
    os.write(terminal.master, b"q")
    terminal.read_to_end()
    assert terminal.process.wait(20) == 0
    assert b"Traceback" not in terminal.output


def test_quitting_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    os.write(terminal.master, b"q")
    terminal.read_to_end()
    assert terminal.process.wait(20) == 0
    assert LEAVES_ALTERNATE_SCREEN in terminal.output


def test_a_terminal_that_vanishes_without_a_signal_ends_the_panel(terminal: Terminal) -> None:
    """It is not our controlling terminal, so nobody sends SIGHUP: reading gives nothing, for ever."""
    os.close(terminal.master)
    try:
        assert terminal.process.wait(20) == 129
    finally:
        terminal.master = os.open(os.devnull, os.O_RDONLY)


CRASH = """
import sys
from fada_tui import app
from fada_tui.cli import run
app.PanelApp.on_ready = lambda self: 1 / 0
sys.exit(run(["--home", sys.argv[1]]))
"""


def test_an_error_that_nobody_handles_is_no_success(tmp_path: Path) -> None:
    """Textual's own run() returns as if nothing had been: a script around the panel would go on."""
    master, slave = pty.openpty()
    words = [sys.executable, "-P", "-c", CRASH, str(tmp_path / "home")]
    process = subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm-256color"}
    )
    os.close(slave)
    shown = Terminal(process, master)
    try:
        shown.read_to_end()
        assert process.wait(20) == 1
        assert b"ZeroDivisionError" in shown.output
        assert LEAVES_ALTERNATE_SCREEN in shown.output
    finally:
        process.kill()
        os.close(master)


def test_a_screen_drawn_anew_that_looks_the_same_sends_nothing(tmp_path: Path) -> None:
    """Not even where the cursor is: a line over SSH stays silent while nothing changes."""
    with on_a_terminal(tmp_path, "refresh") as shown:
        shown.read_for(2.0)  # the capabilities of the terminal are asked for at the beginning
        before = len(shown.output)
        shown.read_for(1.0)
        assert len(shown.output) == before


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_does_not_block_the_app() -> None:
    writer = WriterThread(TerminalFile(Gone()))  # type: ignore[arg-type]
    writer.start()
    # In a thread of its own: without the handling it would wait for ever.
    drawing = threading.Thread(target=lambda: [writer.write("x") for _ in range(100)] and writer.stop(), daemon=True)
    drawing.start()
    drawing.join(20)
    assert not drawing.is_alive()
