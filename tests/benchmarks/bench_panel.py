"""The panel through a pseudo-terminal at 120×40: first content, bytes sent, CPU when idle; against a bare Textual app."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

from db.home import Home
from fada_tui.cli.context import Context

ROUNDS = 5
IDLE_S = 8.0
BARE = """
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*[f"column {n}" for n in range(8)])
        for row in range(42):
            table.add_row(*[f"Tier {row} {n}" for n in range(8)])
Bare().run()
"""


class Terminal:
    """A program in a pseudo-terminal of 120×40; what it writes is counted."""

    def __init__(self, words: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self._begun = time.perf_counter()
        self._process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.bytes = 0

    def read_for(self, seconds: float, marker: bytes | None = None) -> float:
        """Read until the marker shows or the time is over; seconds since the program was started."""
        end, seen = time.perf_counter() + seconds, b""
        while (left := end - time.perf_counter()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                break
            data = os.read(self._master, 1 << 16)
            self.bytes += len(data)
            seen = (seen + data)[-(1 << 17) :]
            if marker and marker in seen:
                break
        return time.perf_counter() - self._begun

    def cpu_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)


def first_content(words: list[str]) -> float:
    """Median seconds from the start of the process to the first row of the table."""
    taken = []
    for _ in range(ROUNDS):
        terminal = Terminal(words)
        taken.append(terminal.read_for(30, b"Tier 1"))
        terminal.close()
    return sorted(taken)[ROUNDS // 2]


def figure(name: str, value: float, unit: str, against: str | None = None, ratio: float | None = None) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "against": against, "ratio": ratio}))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home")
        Context(home).prepare()
        words = [sys.executable, "-P", "-m", "fada_tui", "--home", str(home.root)]
        ours, bare = first_content(words), first_content([sys.executable, "-c", BARE])
        figure("panel, first content", ours, "s", "a Textual app with one 42-row DataTable", round(ours / bare, 2))
        terminal = Terminal(words)
        terminal.read_for(4.0)
        figure("panel, bytes until the first screen stands", terminal.bytes, "B")
        sent, cpu = terminal.bytes, terminal.cpu_s()
        terminal.read_for(IDLE_S)
        figure("panel, idle with host telemetry", (terminal.bytes - sent) / IDLE_S, "B/s")
        figure("panel, idle with host telemetry", 100 * (terminal.cpu_s() - cpu) / IDLE_S, "% of a core")
        terminal.close()


if __name__ == "__main__":
    main()
