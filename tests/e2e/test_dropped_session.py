"""A job is queued over SSH or in tmux, and the session is lost: the job's result is there."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.runs.queries import get_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE_S = 240.0


class Ssh:
    """A server of our own on the loopback, and how to reach it."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        for name in ("host", "user"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(key, check=True)
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        (folder / "authorized").chmod(0o600)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile {folder / 'pid'}\n"
            f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.server = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)

    def open(self, command: str) -> subprocess.Popen[str]:
        """A session with a terminal that runs a command."""
        options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectionAttempts=20",
        ]
        words = ["ssh", "-tt", "-p", str(self.port), "-i", str(self._folder / "user")]
        for option in options:
            words += ["-o", option]
        return subprocess.Popen(
            [*words, f"{getpass.getuser()}@127.0.0.1", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def drop(self) -> None:
        """The line is cut: the server's session processes die at once, and nobody says goodbye."""
        for process in psutil.Process(self.server.pid).children(recursive=True):
            if process.name().startswith("sshd"):
                process.kill()


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Ssh]:
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here (Debian: openssh-server): losing an SSH session was not tried")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    made = Ssh(folder, program)
    yield made
    for process in psutil.Process(made.server.pid).children(recursive=True):
        process.kill()
    made.server.kill()
    made.server.wait()


def queue_words(fada: list[str], home: Home, end: Path) -> str:
    job = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)\nprint('the result')"
    return shlex.join([*fada, "--home", str(home.root), "run", "--", sys.executable, "-c", job])


def until_state(home: Home, state: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with closing(connect(home.runs_db)) as conn:
        while True:
            run = get_run(conn, 1)
            if run is not None and run.state == state:
                return
            assert time.monotonic() < deadline, run
            time.sleep(0.1)


def lives_on(home: Home, end: Path, lose: Callable[[], Any]) -> None:
    """The session is lost while the job runs; afterwards its result is there."""
    until_state(home, "running")
    lose()
    time.sleep(0.5)  # what a hang-up would kill is dead by now
    until_state(home, "running")
    end.touch()
    until_state(home, "done")
    assert (home.run_dir(1) / "log.txt").read_text().splitlines()[-1] == "the result"


def test_a_dropped_ssh_session_takes_no_job_with_it(
    ssh: Ssh, fada: list[str], fresh_home: Home, tmp_path: Path
) -> None:
    migrate(fresh_home.ensure())
    end = tmp_path / "end"
    root = Path(__file__).parents[2]
    session = ssh.open(f"cd {shlex.quote(str(root))} && {queue_words(fada, fresh_home, end)} && sleep 600")
    lives_on(fresh_home, end, ssh.drop)
    session.kill()
    session.communicate()


def test_a_killed_tmux_server_takes_no_job_with_it(
    tmux: Any, fada: list[str], fresh_home: Home, tmp_path: Path
) -> None:
    migrate(fresh_home.ensure())
    end = tmp_path / "end"
    tmux.start(120, 40, "sh", "-c", f"{queue_words(fada, fresh_home, end)} && sleep 600")
    lives_on(fresh_home, end, lambda: os.kill(tmux.server_pid(), signal.SIGKILL))
