"""`fada gpu`, `doctor`, `where`, `reindex` and `backup`, as a person or a program runs them."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.telemetry.sample import Gpu, GpuProcess, Host, HostJob, Telemetry
from db.connect import connect
from db.home import Home
from fada_tui.cli import checks, gpu, run
from fada_tui.cli.checks import all_checks
from fada_tui.cli.context import Context

GIB = 2**30


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


class Fada:
    """Runs commands on one HOME."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys

    def text(self, *words: str) -> tuple[int, str]:
        status = run([*words, "--home", str(self.home)])
        return status, self.capsys.readouterr().out

    def json(self, *words: str) -> tuple[int, Any]:
        status, printed = self.text(*words, "--json")
        return status, json.loads(printed)


@pytest.fixture
def fada(home: Path, capsys: pytest.CaptureFixture[str]) -> Fada:
    return Fada(home, capsys)


def test_gpu_prints_the_documents_of_the_design(fada: Fada) -> None:
    status, document = fada.json("gpu")
    assert status == 0
    assert {"time", "gpus", "reason", "host"} <= set(document)
    assert {"cpu", "memory_used", "memory_total", "disk_free"} <= set(document["host"])
    assert 0 <= document["host"]["cpu"] <= 1
    assert bool(document["reason"]) == (not [gpu for gpu in document["gpus"] if gpu["reason"] is None])


def test_gpu_works_where_home_does_not(fada: Fada, home: Path) -> None:
    home.write_text("a file where the folder should be")
    status, printed = fada.text("gpu")
    assert status == 0
    assert "RAM" in printed


def _sample(**changes: Any) -> Telemetry:
    card = {"utilisation": 0.97, "memory_used": 21 * GIB, "memory_total": 32 * GIB, "power_w": 412.4}
    processes = (GpuProcess(100, 19 * GIB, "ada", 12), GpuProcess(101, None, None))
    gpu = Gpu(0, "Card\x1b[31m", "u", **card | {"power_limit_w": 575.0, "temperature_c": None} | changes)
    host = Host(0.5, 8, GIB, 16 * GIB, 100 * GIB, (HostJob(12, 2 * GIB),))
    return Telemetry(0.0, (Gpu(**{**vars(gpu), "processes": processes}),), None, host)


def test_a_sample_as_text_shows_the_unsupported_as_such_and_no_escapes() -> None:
    text = gpu.sample_text(_sample())
    assert "97 %  21.0/32.0 GiB  412 W  n/a" in text
    assert "\x1b" not in text
    assert "#12" in text
    assert "ada" in text
    assert "run #12 holds 2.0 GiB" in text
    assert "GPU 0 97 %" in gpu.sample_line(_sample())
    assert "GPU 0 gone" in gpu.sample_line(_sample(reason="gone"))


@pytest.mark.parametrize("form", [["--json"], []])
def test_watching_goes_on_a_line_a_second_until_interrupted(home: Path, form: list[str]) -> None:
    command = [sys.executable, "-m", "fada_tui", "gpu", "-w", "--home", str(home), *form]
    # A shell's background job, and so its tests, may have the interrupt ignored.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    if form:
        first, second = (json.loads(line) for line in lines)
        assert second["time"] > first["time"]
    else:
        assert all("RAM" in line for line in lines)


def test_doctor_looks_at_everything_and_hints_where_it_is_not_well(fada: Fada, home: Path) -> None:
    status, report = fada.json("doctor")
    assert status == 0
    found = {check["check"]: check for check in report}
    assert {"python", "packages", "home", "disk", "sqlite", "tracker database", "run index", "terminal"} <= set(found)
    assert all(check["state"] in ("ok", "warn", "missing") for check in report)
    assert all((check["hint"] is None) == (check["state"] == "ok") for check in report)
    assert found["tracker database"]["state"] == found["run index"]["state"] == "ok"
    assert str(home) in found["home"]["detail"]


def test_doctor_does_not_import_what_it_looks_for(home: Path) -> None:
    script = (
        f"import sys; from fada_tui.cli import run; run(['doctor', '--home', {str(home)!r}])\n"
        "heavy = {'torch', 'numpy', 'transformers', 'unsloth', 'textual'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    # The second time there is nothing to migrate, which alone may import more.
    run(["doctor", "--home", str(home)])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_doctor_tells_of_a_damaged_database_with_the_remedy(fada: Fada, home: Path) -> None:
    fada.text("where")
    (home / "runs.db").write_bytes(b"nothing of the kind " * 500)
    for side in home.glob("runs.db-*"):
        side.unlink()
    _, report = fada.json("doctor")
    index = next(check for check in report if check["check"] == "run index")
    assert index["state"] == "missing"
    assert "damaged" in index["detail"]
    assert "fada reindex" in index["hint"]


def test_doctor_on_a_home_that_cannot_be(fada: Fada, home: Path) -> None:
    home.write_text("a file")
    _, report = fada.json("doctor")
    check = next(check for check in report if check["check"] == "home")
    assert check["state"] == "missing"
    assert "--home" in check["hint"]


def test_doctor_guards_secrets(fada: Fada, home: Path) -> None:
    fada.text("where")
    secrets = home / "secrets.env"
    secrets.write_text("A=1")
    secrets.chmod(0o644)
    _, report = fada.json("doctor")
    assert next(check for check in report if check["check"] == "secrets")["state"] == "warn"
    secrets.chmod(0o600)
    _, report = fada.json("doctor")
    assert next(check for check in report if check["check"] == "secrets")["state"] == "ok"


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({"TERM": "xterm-256color"}, "ok"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "ok"),
        ({"TERM": "screen", "TMUX": "/tmp/x"}, "warn"),
        ({"TERM": "dumb"}, "warn"),
    ],
)
def test_terminal_colours(environment: dict[str, str], state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TERM", "COLORTERM", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert checks._terminal()["state"] == state


def test_a_little_disk_and_a_clock_that_went_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(Home(home))
    context.prepare()
    assert all(check["state"] != "missing" for check in all_checks(context) if check["check"] == "clock and boot id")
    monkeypatch.setattr(checks, "_LITTLE_DISK", 2**80)
    assert checks._disk(home)["state"] == "warn"
    ahead = home.stat().st_mtime + 10_000
    os.utime(home / "fada.db", (ahead, ahead))
    assert checks._clock(home)["state"] == "warn"


def test_where_gives_paths_and_sizes(fada: Fada, home: Path) -> None:
    status, document = fada.json("where")
    assert status == 0
    assert document["home"] == str(home)
    assert document["tracker"] == str(home / "fada.db")
    assert document["bytes"]["tracker"] > 0
    assert document["bytes"]["config"] is None
    _, before = fada.json("where")
    (home / "runs" / "1").mkdir()
    (home / "runs" / "1" / "log.txt").write_bytes(b"x" * 300_000)
    os.link(home / "runs" / "1" / "log.txt", home / "runs" / "1" / "again.txt")
    _, after = fada.json("where")
    assert 300_000 <= after["bytes"]["runs"] - before["bytes"]["runs"] < 600_000
    assert "not there" in fada.text("where")[1]


def test_reindex_counts_the_runs(fada: Fada) -> None:
    assert fada.json("reindex") == (0, {"runs": 0, "damaged": None})


def test_a_backup_is_whole_and_yours_alone_while_the_database_is_written(
    fada: Fada, home: Path, tmp_path: Path
) -> None:
    fada.text("where")
    target = tmp_path / "copy.db"
    target.write_text("an older copy")
    with closing(connect(home / "fada.db")) as writer:
        writer.execute("CREATE TABLE mark(x)")
        writer.execute("INSERT INTO mark VALUES (1)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO mark VALUES (2)")
        status, document = fada.json("backup", str(target))
        writer.execute("ROLLBACK")
    assert status == 0
    assert document == {"file": str(target), "bytes": target.stat().st_size}
    assert target.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT x FROM mark").fetchall() == [(1,)]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM models").fetchone() == (42,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "home"]


@pytest.mark.parametrize(
    "target", ["home/fada.db", "home/runs.db", "home/fada.db-wal", "link.db", "absent/x.db", "home"]
)
def test_a_backup_refuses_a_bad_target_and_spoils_nothing(fada: Fada, home: Path, tmp_path: Path, target: str) -> None:
    fada.text("where")
    (tmp_path / "link.db").symlink_to(home / "fada.db")
    status, document = fada.json("backup", str(tmp_path / target))
    assert status == 2
    assert document["error"]["hint"]
    with closing(connect(home / "fada.db", read_only=True)) as conn:
        assert conn.execute("SELECT count(*) FROM models").fetchone()[0] == 42


def test_a_backup_that_cannot_be_written_leaves_the_older_copy(fada: Fada, home: Path, tmp_path: Path) -> None:
    fada.text("where")
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "copy.db").write_text("older")
    done = subprocess.run(
        [sys.executable, "-m", "fada_tui", "backup", str(folder / "copy.db"), "--home", str(home)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "could not be written" in done.stderr
    assert [path.read_text() for path in folder.iterdir()] == ["older"]
    assert fada.text("backup", str(folder / ("n" * 250)))[0] == 1


def test_a_full_disk_is_called_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        assert run(["--home", str(disk / "home"), "models"]) == 0
        with open(disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        capsys.readouterr()
        assert run(["--home", str(disk / "home"), "status", "Qwen2-VL-2B", "TODO"]) == 1
        assert "the disk is full" in capsys.readouterr().err
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
