"""The real program in a real tmux: keys in, screen text out."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from db.home import Home

PATIENCE_S = 240.0


class Tmux:
    """One tmux server of its own with one window."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _run(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-L", self._name, *words], capture_output=True, text=True, check=False)
        return done.stdout

    def start(self, columns: int, rows: int, *command: str) -> None:
        size = ("-x", str(columns), "-y", str(rows))
        self._run("-f", "/dev/null", "new-session", "-d", *size, *command)

    def keys(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def resize(self, columns: int, rows: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def kill_server(self) -> None:
        self._run("kill-server")

    def server_pid(self) -> int:
        return int(self._run("display-message", "-p", "#{pid}"))

    def until(self, condition: Callable[[str], object], patience_s: float = PATIENCE_S) -> str:
        """The screen, as soon as the condition holds for it."""
        deadline = time.monotonic() + patience_s
        while True:
            screen = self.screen()
            if condition(screen):
                return screen
            assert time.monotonic() < deadline, f"it never showed; the last screen:\n{screen}"
            time.sleep(0.1)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: the end-to-end test did not run")
    server = Tmux(f"fada-{tmp_path.name}")
    yield server
    server.kill_server()


@pytest.fixture
def fada() -> list[str]:
    """The command as a user starts it."""
    return [sys.executable, "-P", "-m", "fada_tui"]


@pytest.fixture
def fresh_home(tmp_path: Path) -> Iterator[Home]:
    """A HOME that does not exist yet; whatever runs on it is killed at the end."""
    home = Home(tmp_path / "home")
    yield home
    for process in psutil.process_iter(["cmdline"]):
        if str(home.root) in (process.info["cmdline"] or []):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
