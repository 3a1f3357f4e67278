"""A program in a pseudo-terminal of 120×40, for benchmarks."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping

import psutil


class Terminal:
    """Runs ``words``, with ``more`` in the environment; what they write is counted and thrown away."""

    def __init__(self, words: list[str], more: Mapping[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(more or {})}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self._begun = time.perf_counter()
        self.process = subprocess.Popen(
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
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the program has ended
                break
            self.bytes += len(data)
            seen = (seen + data)[-(1 << 17) :]
            if marker and marker in seen:
                break
        return time.perf_counter() - self._begun

    def read_some(self, patience_s: float) -> None:
        """Until anything comes."""
        if select.select([self._master], [], [], patience_s)[0]:
            self.bytes += len(os.read(self._master, 1 << 16))

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def answer(self, keys: bytes, marker: bytes, patience_s: float = 10.0) -> float:
        """Seconds from pressing keys to the marker on the screen."""
        begun = time.perf_counter()
        self.press(keys)
        self.read_for(patience_s, marker)
        return time.perf_counter() - begun

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
