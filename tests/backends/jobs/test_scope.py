"""Under a real systemd: what ends with a session, what outlives it, and that `fada doctor` says so."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.systemd import ROOT, UID, USER, SystemdMachine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("systemd")]

DESKTOP = "systemd-run --user --scope --quiet --"
"""Starts a command where the terminals of many desktops are: under the user's service manager."""
BARE = f"PATH=/home/{USER}/bare"
"""A PATH without systemd-run."""
SESSION = re.compile(rf"0::/user\.slice/user-{UID}\.slice/session-\w+\.scope")
SCOPE = re.compile(rf"0::/user\.slice/user-{UID}\.slice/user@{UID}\.service/.*run-\w+\.scope")
LINGER = f"loginctl enable-linger {USER}"


class Login:
    """A user's queue, on a machine whose sessions can be ended."""

    def __init__(self, machine: SystemdMachine, home: str, before: str) -> None:
        self.machine = machine
        self._home = home
        self._before = before
        self._session: subprocess.Popen[str] | None = None
        links = "; ".join(f"ln -sf $(command -v {name}) bare/" for name in ("sh", "sleep", "env", "loginctl"))
        assert machine.ssh(f"mkdir -p bare; {links}").returncode == 0

    def start(self) -> set[str]:
        """Log in, and queue a job that ends when it is told; returns where it and its keepers run."""
        job = f": >{self._home}.begun; until [ -e {self._home}.end ]; do sleep 0.1; done; echo the result"
        self._session = self.machine.session(f"{self._fada('run', '--', 'sh', '-c', job)}; cat")
        begun = f"{self._home}.begun"
        self.machine.until(lambda: self.machine.root("test", "-e", begun).returncode == 0, "the job does not start")
        return set(self._running().values())

    def log_out(self) -> None:
        assert self._session is not None
        self._session.communicate("", timeout=60)
        self.machine.until(lambda: self._session_over(), "the session does not end")

    def doctor(self) -> tuple[str, str | None]:
        """Its word on logging out, and how to mend it."""
        (check,) = (check for check in self._ask("doctor") if check["check"] == "jobs after logout")
        return check["state"], check["hint"]

    def lives(self) -> bool:
        return len(self._running()) == 2

    def end(self) -> Any:
        """The run, once it is over; a job that lives is told to end."""
        self.machine.root("touch", f"{self._home}.end")
        self.machine.until(lambda: not self._running(), "the job does not end")
        (run,) = self._ask("jobs")
        return run

    def log(self) -> str:
        return self.machine.ssh(f"cat {self._home}/runs/1/log.txt").stdout

    def close(self) -> None:
        if self._session is not None:
            self._session.kill()
            self._session.communicate()
        self.machine.root("loginctl", "terminate-user", USER)
        self.machine.until(lambda: not self.machine.sessions() and not self._running(), "something is left")

    def _fada(self, *words: str) -> str:
        program = shlex.join([sys.executable, "-P", "-m", "fada_tui", "--home", self._home, *words])
        return f"cd {shlex.quote(str(ROOT))}; {self._before} {program}"

    def _ask(self, *words: str) -> Any:
        done = self.machine.ssh(self._fada(*words, "--json"))
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def _running(self) -> dict[str, str]:
        """Dispatcher and runner of this queue, and the cgroup of each."""
        script = "for p in /proc/[0-9]*; do echo $(tr '\\0' ' ' <$p/cmdline) @ $(grep ^0:: $p/cgroup); done 2>/dev/null"
        lines = self.machine.root("sh", "-c", script).stdout.splitlines()
        parts = (line.rpartition(" @ ") for line in lines if self._home in line)
        return {match[0]: where for words, _, where in parts if (match := re.search(r"-m backends\.jobs\.\w+", words))}

    def _session_over(self) -> bool:
        """Nobody is logged in; what a session leaves behind may be."""
        shown = (
            self.machine.root("loginctl", "show-session", name, "--property=State") for name in self.machine.sessions()
        )
        return all(one.stdout.strip() in ("", "State=closing") for one in shown)


@pytest.fixture
def login(systemd_machine: SystemdMachine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Login]:
    made = Login(systemd_machine, f"/home/{USER}/{tmp_path.name}", request.param)
    yield made
    made.close()


def set_up(login: Login, kill: str, linger: bool) -> None:
    login.machine.logind(KillUserProcesses=kill)
    login.machine.linger(linger)


@pytest.mark.parametrize("login", [""], indirect=True)
@pytest.mark.parametrize("how", ["log out", "terminate"])
def test_a_job_in_a_scope_of_its_own_outlives_its_session(login: Login, how: str) -> None:
    set_up(login, "yes", linger=True)
    assert login.doctor() == ("ok", None)
    (where,) = login.start()
    assert SCOPE.fullmatch(where)
    if how == "terminate":
        assert login.machine.root("loginctl", "terminate-session", *login.machine.sessions()).returncode == 0
    login.log_out()
    assert login.lives()
    run = login.end()
    assert (run["state"], run["exit_code"], login.log()) == ("done", 0, "the result\n")


@pytest.mark.parametrize("login", [""], indirect=True)
def test_where_logind_kills_nobody_no_scope_is_needed(login: Login) -> None:
    set_up(login, "no", linger=False)
    assert login.doctor() == ("ok", None)
    (where,) = login.start()
    assert SESSION.fullmatch(where)
    login.log_out()
    assert login.lives()
    assert login.end()["state"] == "done" and login.log() == "the result\n"


@pytest.mark.parametrize(
    ("login", "kill", "linger", "place"),
    [
        pytest.param(BARE, "yes", True, SESSION, id="no systemd-run"),
        pytest.param("", "yes", False, SCOPE, id="the scope ends with the user's manager"),
        pytest.param(DESKTOP, "no", False, SCOPE, id="a desktop's terminal"),
    ],
    indirect=["login"],
)
def test_what_dies_with_its_session_was_warned_of(
    login: Login, kill: str, linger: bool, place: re.Pattern[str]
) -> None:
    set_up(login, kill, linger)
    state, hint = login.doctor()
    assert state == "warn" and hint is not None and hint.startswith(LINGER)
    (where,) = login.start()
    assert place.fullmatch(where)
    login.log_out()
    login.machine.until(lambda: not login.lives(), "the job lives on")
    run = login.end()
    assert run["state"] in ("failed", "lost") and "the result" not in login.log()


@pytest.mark.parametrize("login", [DESKTOP], indirect=True)
def test_lingering_keeps_what_a_desktop_started(login: Login) -> None:
    set_up(login, "no", linger=True)
    assert login.doctor() == ("ok", None)
    login.start()
    login.log_out()
    assert login.lives()
    assert login.end()["state"] == "done" and login.log() == "the result\n"
