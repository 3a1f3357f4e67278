"""A real systemd with logind and sshd, in namespaces of its own, for what an imitation cannot show about logging out.

It sees this machine's files under a layer in memory, so nothing that it writes stays; its processes end with its PID 1,
which ends with the test run, also where that is killed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER = "ada"
UID = 1977
_PATIENCE_S = 60.0
_DROPPED = "-sys_time,-sys_module,-sys_boot,-sys_rawio"
"""Rights over the whole machine that no namespace bounds."""
_PROGRAMS = {
    "/lib/systemd/systemd": "systemd",
    "/lib/systemd/systemd-logind": "systemd",
    "/usr/bin/dbus-daemon": "dbus-daemon",
    "/usr/sbin/sshd": "openssh-server",
    "/usr/bin/ssh": "openssh-client",
    "/usr/bin/unshare": "util-linux",
    "/usr/bin/setpriv": "util-linux",
    "/usr/sbin/useradd": "passwd",
    "/usr/lib/systemd/user/dbus.socket": "dbus-user-session",
}
_BOOT = r"""
set -eu
R=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$R"
mkdir "$R/upper" "$R/work" "$R/root"
mount -t overlay -o "lowerdir=/,upperdir=$R/upper,workdir=$R/work" overlay "$R/root"
N=$R/root
mount -t proc proc "$N/proc"
# What is set there holds for the whole machine.
mount --bind "$N/proc/sys" "$N/proc/sys"
mount -o remount,bind,ro "$N/proc/sys"
mount -t sysfs -o ro sysfs "$N/sys"
mount -t cgroup2 cgroup2 "$N/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$N/run"
mount -t tmpfs -o mode=1777 tmpfs "$N/tmp"
mount -t tmpfs -o mode=755 tmpfs "$N/dev"
for name in null zero full random urandom tty; do touch "$N/dev/$name"; mount --bind "/dev/$name" "$N/dev/$name"; done
mkdir "$N/dev/pts" "$N/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$N/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$N/dev/shm"
ln -s pts/ptmx "$N/dev/ptmx"
ln -s /proc/self/fd "$N/dev/fd"
for path in "$@"; do  # what the user must read: our files and Python's
  # On another file system, or below what was just laid over.
  if [ "$(stat -c %d "$path")" != "$(stat -c %d /)" ] || [ ! -e "$N$path" ]; then
    mkdir -p "$N$path"; mount --bind "$path" "$N$path"; mount -o remount,bind,ro "$N$path"
  fi
  while [ "$path" != / ]; do chmod a+x "$N$path" || true; path=$(dirname "$path"); done
done
rm -rf "$N/etc/machine-id" "$N/etc/systemd/system" "$N/etc/systemd/user" "$N/etc/systemd/logind.conf.d" "$N/var/lib/systemd"
rm -f "$N/etc/systemd/logind.conf" "$N/etc/systemd/system.conf" "$N/etc/systemd/user.conf"
echo 0123456789abcdef0123456789abcdef >"$N/etc/machine-id"
U=$N/etc/systemd/system
mkdir -p "$U" "$N/etc/systemd/logind.conf.d"
# Only what a login needs: nothing that loads modules, sets the kernel's values, or mounts.
for name in sysinit basic; do printf '[Unit]\nDefaultDependencies=no\n' >"$U/$name.target"; done
cat >"$U/fada.target" <<X
[Unit]
DefaultDependencies=no
Wants=dbus.socket dbus.service systemd-logind.service fada-ssh.service
X
cat >"$U/fada-ssh.service" <<X
[Service]
RuntimeDirectory=sshd
KillMode=process
ExecStart=/usr/sbin/sshd -D -e -f /etc/ssh/fada
X
useradd -R "$N" -m -u "$USER_ID" -s /bin/sh "$USER_NAME"
mkdir -p "$N/home/$USER_NAME/.ssh"
ssh-keygen -q -t ed25519 -N '' -f "$N/etc/ssh/fada_host"
ssh-keygen -q -t ed25519 -N '' -f "$N/etc/ssh/fada_user"
cp "$N/etc/ssh/fada_user.pub" "$N/etc/ssh/fada_authorized"
printf 'account required pam_permit.so\nsession required pam_systemd.so\n' >"$N/etc/pam.d/sshd"
printf 'account required pam_permit.so\nsession required pam_permit.so\nsession optional pam_systemd.so\n' >"$N/etc/pam.d/systemd-user"
cat >"$N/etc/ssh/fada" <<X
Port 22
ListenAddress 127.0.0.1
HostKey /etc/ssh/fada_host
PidFile none
AuthorizedKeysFile /etc/ssh/fada_authorized
StrictModes no
UsePAM yes
PasswordAuthentication no
X
cd "$N"
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set "$DROPPED" \
  /lib/systemd/systemd --unit=fada.target --show-status=no
"""


class SystemdMachine:
    """Started and stopped as one; its user comes and goes over SSH."""

    def __init__(self, folder: Path, cgroups: Path) -> None:
        self._folder = folder
        self._cgroup = cgroups / f"fada-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        self.python = sys.executable

    def start(self) -> None:
        """Raises: AssertionError where it does not come up, with what it said."""
        self._cgroup.mkdir()
        (self._folder / "root").mkdir()
        enter = f'echo $$ >{self._cgroup}/cgroup.procs && exec "$@"'
        spaces = ["--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--net", "--cgroup"]
        seen = [str(path) for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
        boot = ["sh", "-c", _BOOT, "sh", str(self._folder / "root"), *seen]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", enter, "sh", "unshare", *spaces, *boot],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "USER_NAME": USER, "USER_ID": str(UID), "DROPPED": _DROPPED},
            )
        self._until(self._booted, "systemd does not come up")
        self._until(lambda: self.ssh("true").returncode == 0, "nobody can log in")
        self._until(lambda: not self.sessions(), "a session does not end")

    def stop(self) -> None:
        if self._init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._init, 9)  # and with it all that runs in its namespaces
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        deadline = time.monotonic() + _PATIENCE_S
        while (self._cgroup / "cgroup.procs").exists() and time.monotonic() < deadline:
            for path in sorted(self._cgroup.rglob("*"), reverse=True):
                if path.is_dir():
                    with contextlib.suppress(OSError):
                        path.rmdir()
            with contextlib.suppress(OSError):
                self._cgroup.rmdir()
            time.sleep(0.05)

    def root(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of root's inside, in no session."""
        return subprocess.run([*self._inside(), *words], capture_output=True, text=True, timeout=120)

    def ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        """A whole session of the user's, in which a shell runs one command."""
        return subprocess.run(self._ssh(command), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    def session(self, command: str) -> subprocess.Popen[str]:
        """One that stays until its standard input is closed."""
        return subprocess.Popen(self._ssh(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def sessions(self) -> list[str]:
        """The numbers of the user's open sessions."""
        lines = (line.split() for line in self.root("loginctl", "list-sessions", "--no-legend").stdout.splitlines())
        return [words[0] for words in lines if len(words) > 2 and words[2] == USER]

    def logind(self, **settings: str) -> None:
        """Its settings from here on, as in ``logind.conf``."""
        text = "".join(f"{key}={value}\n" for key, value in {"UserStopDelaySec": "0", **settings}.items())
        self.root("sh", "-c", f"printf '[Login]\n{text}' >/etc/systemd/logind.conf.d/test.conf")
        assert self.root("systemctl", "restart", "systemd-logind").returncode == 0
        self._until(lambda: self.root("loginctl", "list-sessions").returncode == 0, "logind does not come back")

    def linger(self, on: bool) -> None:
        done = self.root("loginctl", "enable-linger" if on else "disable-linger", USER)
        assert done.returncode == 0, done.stderr

    def manager_runs(self) -> bool:
        """The user's own service manager."""
        return self.root("systemctl", "is-active", f"user@{UID}.service").stdout.strip() not in ("inactive", "failed")

    def until(self, condition: Callable[[], object], said: str) -> None:
        self._until(condition, said)

    def _booted(self) -> bool:
        if not self._init:
            assert self._process is not None and self._process.poll() is None, self._log()
            tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            child = tasks.read_text().split()
            if not child or Path(f"/proc/{child[0]}/comm").read_text().strip() != "systemd":
                return False
            self._init = int(child[0])
        return self.root("systemctl", "is-active", "fada-ssh", "systemd-logind").stdout.split() == ["active", "active"]

    def _inside(self) -> list[str]:
        words = ["nsenter", "--target", str(self._init), "--all", "env", "-i", "LANG=C.UTF-8"]
        return [*words, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

    def _ssh(self, command: str) -> list[str]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        words = [word for option in options for word in ("-o", option)]
        return [*self._inside(), "ssh", *words, "-i", "/etc/ssh/fada_user", f"{USER}@127.0.0.1", command]

    def _until(self, condition: Callable[[], object], said: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{said}\n{self._log()}"
            time.sleep(0.1)

    def _log(self) -> str:
        said = (self._folder / "log").read_text(errors="replace")
        return said + (self.root("journalctl", "--no-pager", "-n", "40").stdout if self._init else "")


def missing_for_systemd() -> str | None:
    """Why none can be started here; None where one may be."""
    if os.geteuid() != 0:
        return "not root"
    missing = sorted({package for path, package in _PROGRAMS.items() if not Path(path).exists()})
    if not any(Path("/").glob("lib/*/security/pam_systemd.so")):
        missing.append("libpam-systemd")
    if missing:
        return f"without Debian's {', '.join(missing)}"
    if _cgroups() is None:
        return "no cgroup2 is mounted"
    return None


def _cgroups() -> Path | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(where, os.W_OK):
            return Path(where)
    return None


@pytest.fixture(scope="session")
def systemd_machine() -> Iterator[SystemdMachine]:
    """One with a user of no rights, who can log in over SSH."""
    missing, cgroups = missing_for_systemd(), _cgroups()
    if missing or cgroups is None:
        pytest.skip(f"no real systemd was started, and no session of one was ended: {missing}")
    with tempfile.TemporaryDirectory(prefix="fada-systemd-") as name:
        machine = SystemdMachine(Path(name), cgroups)
        try:
            try:
                machine.start()
            except (AssertionError, OSError) as error:
                pytest.skip(f"no real systemd can be started here, and no session of one was ended: {error}")
            yield machine
        finally:
            machine.stop()
