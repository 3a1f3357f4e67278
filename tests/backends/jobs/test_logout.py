"""What logging out does to jobs, from the texts that systemd writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backends.jobs import logout as module
from backends.jobs import spawn
from backends.jobs.logout import Logout, in_session, judge, read_properties, read_settings, scope_command
from db.home import Home

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
    assert judge({}, {}, "ada") == Logout(False, False)


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
