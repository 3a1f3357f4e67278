"""An SSH server of the test's own on the loopback, with keys of its own, as a cluster's login host."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


class LoginHost:
    """``config`` is a configuration for ssh in which it is called ``login-of-the-test``."""

    name = "login-of-the-test"

    def __init__(self, folder: Path, program: str) -> None:
        self._program = program
        self._settings = folder / "sshd_config"
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        authorized = folder / "authorized"
        authorized.write_text((folder / "user.pub").read_text())
        authorized.chmod(0o600)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._settings.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile {folder / 'pid'}\n"
            f"AuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 100\n"
        )
        self.config = folder / "ssh_config"
        self.config.write_text(
            f"Host {self.name}\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {folder / 'user'}\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n"
            "  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
        )
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, hidden: Path | None = None) -> None:
        """With ``hidden`` as an empty folder there, as on a machine that does not share it (needs root)."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        words = [self._program, "-D", "-e", "-f", str(self._settings)]
        if hidden is not None:
            words = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *words]
        self._server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        reach = ["ssh", "-F", str(self.config), "-o", "ConnectionAttempts=20", "-o", "BatchMode=yes", self.name, "true"]
        subprocess.run(reach, check=True, timeout=60)

    def stop(self) -> None:
        """It is away, and every connection to it is cut."""
        if self._server is None:
            return
        self.cut()
        self._server.kill()
        self._server.wait()
        self._server = None

    def cut(self) -> int:
        """Break the connections that there are; how many processes of sessions that were."""
        assert self._server is not None
        found = [one for one in psutil.Process(self._server.pid).children(recursive=True) if one.name() == "sshd"]
        for process in found:
            process.kill()
        return len(found)


@pytest.fixture
def login_host() -> Iterator[LoginHost]:
    """Skips aloud where there is no sshd, ssh or rsync."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    missing = [name for name in ("ssh", "rsync", "ssh-keygen") if shutil.which(name) is None]
    missing += ["sshd"] if program is None else []
    if program is None or missing:
        pytest.skip(f"without {', '.join(missing)} (Debian: openssh-server rsync) no login host was tried")
    with tempfile.TemporaryDirectory(prefix="fada-login-") as name:
        host = LoginHost(Path(name), program)
        try:
            host.start()
            yield host
        finally:
            host.stop()
