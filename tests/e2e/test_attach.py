"""Attach, press keys, detach, come back at another size, lose the server, come back: the job is done."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from db.home import Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]


class Client:
    """A terminal of its own that is attached to the server."""

    def __init__(self, name: str, columns: int, rows: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        words = ["tmux", "-L", name, "attach"]
        env = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True, close_fds=True
        )
        os.close(slave)
        self.seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            if select.select([self.master], [], [], 1)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:
                    return
                if not data:
                    return
                self.seen += data

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def detach(self) -> None:
        self.type(b"\x02d")
        self.close()

    def close(self) -> None:
        """Once its process has ended; a reader that still runs would read whatever file gets its number next."""
        self.process.wait(timeout=60)
        self._reader.join(timeout=60)
        os.close(self.master)


def jobs(command: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run([*command, "--json", "jobs"], check=True, capture_output=True)
    return list(json.loads(done.stdout))


def test_detach_come_back_lose_the_server_come_back(
    tmux: Any, fada: list[str], fresh_home: Home, tmp_path: Path
) -> None:
    command = [*fada, "--home", str(fresh_home.root)]
    tmux.start(120, 40, *command)
    tmux.until(lambda text: "42 models" in text and "Welcome" in text)
    end = tmp_path / "end"
    code = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)"

    first = Client(tmux._name, 120, 40)
    first.type(b"2")
    tmux.until(lambda text: "Welcome" not in text and "4 Run" in text)
    subprocess.run([*command, "run", "--", sys.executable, "-c", code], check=True, capture_output=True)
    tmux.until(lambda text: "1 running" in text and "● #1" in text)
    # What y copies reaches the terminal of the person, through tmux.
    tmux._run("set-option", "-s", "set-clipboard", "on")
    first.type(b"y")
    tmux.until(lambda text: "Copied" in text)
    deadline = time.monotonic() + 60
    while "#1" not in tmux._run("show-buffer"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.detach()
    assert "1 running" in tmux.screen()

    second = Client(tmux._name, 80, 24)
    tmux.until(lambda text: "● #1" in text and max(map(len, text.split("\n"))) <= 80)
    second.type(b"'")
    tmux.until(lambda text: "a #1" in text or "│a" in text)
    second.type(b"3")
    tmux.until(lambda text: "● #1" in text)
    tmux.kill_server()
    second.close()

    assert jobs(command)[0]["state"] == "running"
    end.touch()
    deadline = time.monotonic() + 90
    while jobs(command)[0]["state"] != "done":
        assert time.monotonic() < deadline, jobs(command)
    tmux.start(200, 60, *command)
    screen = tmux.until(lambda text: "✓ #1" in text)
    assert "Welcome" not in screen
