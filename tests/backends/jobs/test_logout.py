"""What logging out does to jobs, from the texts that systemd writes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backends.jobs import logout as module
from backends.jobs import queue, spawn
from backends.jobs.logout import Logout, in_session, judge, logout, read_properties, read_settings, scope_command
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run

SHOW = "KillUserProcesses={kill}\nKillOnlyUsers={only}\nKillExcludeUsers=root\n"


@pytest.mark.parametrize(
    ("kill", "only", "linger", "name", "expected"),
    [
        ("no", "", "Linger=no", "ada", Logout(False, False)),
        ("yes", "", "Linger=no", "ada", Logout(True, False)),
        ("yes", "", "Linger=yes", "ada", Logout(True, True)),  # lingering alone spares no session
        ("yes", "", "Linger=no", "root", Logout(False, False)),
        ("yes", "bob carol", "", "ada", Logout(False, False)),
        ("yes", "bob ada", "", "ada", Logout(True, False)),
    ],
)
def test_who_is_ended(kill: str, only: str, linger: str, name: str, expected: Logout) -> None:
    settings = read_properties(SHOW.format(kill=kill, only=only))
    assert judge(settings, read_properties(linger), name) == expected


def test_settings_from_the_files(tmp_path: Path) -> None:
    weak, strong = tmp_path / "usr", tmp_path / "etc"
    roots = (weak, strong)
    assert read_settings(roots) == {}
    (strong / "logind.conf.d").mkdir(parents=True)
    (strong / "logind.conf").write_text("[Login]\n#KillUserProcesses=no\n#KillExcludeUsers=root\n")
    assert read_settings(roots) == {}
    (strong / "logind.conf").write_text("[Login]\nKillUserProcesses=yes\nKillExcludeUsers=root ada\n")
    assert read_settings(roots) == {"KillUserProcesses": "yes", "KillExcludeUsers": "root ada"}
    (strong / "logind.conf.d/a.conf").write_text("[Login]\nKillUserProcesses = no\n")
    assert read_settings(roots)["KillUserProcesses"] == "no"
    assert judge({}, {}, "ada") == Logout(True, False, told=False)


def test_where_a_process_stands() -> None:
    assert in_session("0::/user.slice/user-1000.slice/session-3.scope\n")
    assert in_session("12:pids:/user.slice/user-0.slice/session-c1.scope\n1:name=systemd:/\n")
    assert not in_session("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n")
    assert not in_session("0::/\n")


def test_a_scope_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd/private").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(module, "_own_cgroup", lambda: "0::/user.slice/user-1000.slice/session-3.scope\n")
    monkeypatch.setattr(module, "logout", lambda: Logout(True, False))
    assert scope_command()[:3] == ["systemd-run", "--user", "--scope"]
    monkeypatch.setattr(module, "logout", lambda: Logout(False, False))
    assert scope_command() == []
    monkeypatch.setattr(module, "logout", lambda: Logout(True, False))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    assert scope_command() == []
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(module, "_own_cgroup", lambda: "0::/system.slice/x.service\n")
    assert scope_command() == []


def test_the_dispatcher_starts_also_where_the_scope_fails(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    monkeypatch.setattr(spawn, "scope_command", lambda: ["sh", "-c", f'echo "$@" >> {ran}; exit 1', "--"])
    started: list[list[str]] = []
    real = spawn._start

    def start(made: Home, log: object, before: list[str]) -> object:
        started.append(before)
        return real(made, log, before)  # type: ignore[arg-type]

    monkeypatch.setattr(spawn, "_start", start)
    spawn.start_dispatcher(home)
    assert len(started) == 2 and started[1] == []
    assert "backends.jobs.dispatcher" in ran.read_text()


def test_a_scope_that_works_is_the_only_start(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "scope_command", lambda: ["env", "--"])
    calls: list[list[str]] = []
    real = spawn._start

    def start(made: Home, log: object, before: list[str]) -> object:
        calls.append(before)
        return real(made, log, before)  # type: ignore[arg-type]

    monkeypatch.setattr(spawn, "_start", start)
    spawn.start_dispatcher(home)
    assert calls == [["env", "--"]]


# With a loginctl and a systemd-run that are programs of their own, on a machine that says it runs systemd

SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"
RUNS = 'echo "$@" >> "{record}"\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"'
NO_BUS = 'echo "$@" >> "{record}"\necho "Failed to connect to bus: No medium found" >&2\nexit 1'
HANGS = 'echo "$@" >> "{record}"\nexec sleep 300'
Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Makes an executable that comes first in PATH; what it was called with goes into the file that is returned."""
    folder, runtime, booted = tmp_path / "bin", tmp_path / "runtime", tmp_path / "booted"
    for path in (folder, runtime / "systemd", booted):
        path.mkdir(parents=True)
    (runtime / "systemd" / "private").touch()
    (tmp_path / "cgroup").write_text(SESSION)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(module, "_BOOTED", booted)
    monkeypatch.setattr(module, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(module, "_LINGER", tmp_path / "linger")
    monkeypatch.setattr(module, "LOGIND", (tmp_path / "usr", tmp_path / "etc"))
    monkeypatch.setattr(module, "user_name", lambda: "ada")
    monkeypatch.setattr(module, "_PATIENCE_S", 1.0)

    def make(name: str, script: str) -> Path:
        record = tmp_path / f"{name}.called"
        (folder / name).write_text("#!/bin/sh\n" + script.format(record=record) + "\n")
        (folder / name).chmod(0o755)
        return record

    logout.cache_clear()
    yield make
    logout.cache_clear()


def loginctl(kill: str, linger: str = "no") -> str:
    """As it answers: it knows `show-session` and `show-user`, and no `show`."""
    shown = f"KillUserProcesses={kill}\\nKillOnlyUsers=\\nKillExcludeUsers=root\\n"
    return (
        'echo "$@" >> "{record}"\n'
        f"case \"$1\" in show-session) printf '{shown}';; show-user) echo Linger={linger};; "
        '*) echo "Unknown command verb $1." >&2; exit 1;; esac'
    )


def conf(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[Login]\n{text}\n")


def test_logind_is_asked_in_words_that_it_knows(program: Program) -> None:
    asked = program("loginctl", loginctl("yes", "yes"))
    assert logout() == Logout(True, True)
    assert [line.split()[0] for line in asked.read_text().splitlines()] == ["show-session", "show-user"]
    logout.cache_clear()
    program("loginctl", loginctl("no"))
    assert logout() == Logout(False, False)


@pytest.mark.parametrize("broken", [NO_BUS, HANGS])
def test_where_logind_does_not_answer_its_files_do(program: Program, tmp_path: Path, broken: str) -> None:
    program("loginctl", broken)
    assert logout() == Logout(True, False, told=False)  # systemd's own default, where nobody says
    logout.cache_clear()
    conf(tmp_path, "usr/logind.conf", "KillUserProcesses=yes")
    conf(tmp_path, "usr/logind.conf.d/10-kill.conf", "KillUserProcesses=no")
    assert logout() == Logout(False, False)
    logout.cache_clear()
    conf(tmp_path, "etc/logind.conf.d/10-kill.conf", "KillUserProcesses=yes")
    (tmp_path / "linger").mkdir()
    (tmp_path / "linger" / "ada").touch()
    assert logout() == Logout(True, True)
    logout.cache_clear()
    conf(tmp_path, "etc/logind.conf.d/20-spared.conf", "KillExcludeUsers=ada")
    assert logout() == Logout(False, True)


def test_of_several_main_files_the_strongest_counts_and_lists_grow(tmp_path: Path) -> None:
    roots = (tmp_path / "usr", tmp_path / "etc")
    conf(tmp_path, "usr/logind.conf", "KillUserProcesses=yes\nKillExcludeUsers=bob")
    conf(tmp_path, "usr/logind.conf.d/b.conf", "KillExcludeUsers=carol")
    assert read_settings(roots) == {"KillUserProcesses": "yes", "KillExcludeUsers": "root bob carol"}
    conf(tmp_path, "etc/logind.conf", "#KillUserProcesses=no")
    assert read_settings(roots) == {"KillExcludeUsers": "root carol"}
    conf(tmp_path, "etc/logind.conf.d/c.conf", "KillExcludeUsers=\nKillExcludeUsers=dan")
    assert read_settings(roots) == {"KillExcludeUsers": "dan"}


@pytest.mark.parametrize(("kill", "cgroup", "scoped"), [("yes", SESSION, 1), ("no", SESSION, 0), ("yes", "0::/\n", 0)])
@pytest.mark.parametrize("scope", [RUNS, NO_BUS, HANGS])
def test_a_job_starts_whatever_becomes_of_the_scope(
    home: Home, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: str, cgroup: str, scoped: int,
    scope: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(spawn, "_SCOPE_PATIENCE_S", 15.0 if scope == RUNS else 1.0)
    (tmp_path / "cgroup").write_text(cgroup)
    program("loginctl", loginctl(kill))
    called = program("systemd-run", scope)
    number = queue.enqueue_command(home, ["true"])
    calls = called.read_text().splitlines() if called.exists() else []
    assert len(calls) == scoped and all("--user --scope" in call for call in calls)
    with closing(connect(home.runs_db, read_only=True)) as conn:
        for _ in range(200):  # nobody helps: no tick of ours
            run = get_run(conn, number)
            if run is not None and run.is_over:
                break
            time.sleep(0.1)
    assert run is not None and run.state == "done"
    if scoped and scope == HANGS:
        assert not _sleeping()


def _sleeping() -> list[str]:
    """Children of this process that still sleep."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and "sleep" in (path.parent / "cmdline").read_text():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
