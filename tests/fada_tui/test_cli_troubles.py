"""A damaged database and a full disk: each command does what can be done, and says the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from backends.jobs import store
from backends.jobs.ingest import adopt
from backends.jobs.process import Identity, boot_id
from db.connect import connect
from db.home import Home
from fada_tui.cli import run

Words = pytest.CaptureFixture[str]


def made(home: Home, **parts: object) -> int:
    """A run that is done, with 64 KiB of its own."""
    with closing(connect(home.runs_db)) as conn:
        run_id = store.allocate(home)
        store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0, **parts})
        folder = home.run_dir(run_id)
        (folder / "lock").touch()
        (folder / "weights.bin").write_bytes(b"x" * (1 << 16))
        who = Identity(os.getpid(), 1, boot_id())
        store.write_attempt(folder, store.Attempt(1, who, who, started=1.0, ended=2.0, exit_code=0))
        adopt(conn, home, run_id)
    return run_id


def fada(home: Home, *words: str) -> int:
    return run(["--home", str(home.root), *words])


def spoil(path: Path) -> None:
    path.write_bytes(b"no database" * 10_000)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)


def test_a_damaged_index_is_made_again_and_nothing_is_queued_twice(home: Home, capsys: Words) -> None:
    assert fada(home, "jobs") == 0
    made(home)
    spoil(home.runs_db)
    assert fada(home, "run", "--", "true") == 0
    first = capsys.readouterr()
    assert "rebuilt from the run directories" in first.err
    assert fada(home, "jobs", "--json") == 0
    runs = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in runs] == [1, 2] and "#2 queued" in first.out


@pytest.mark.parametrize("words", [["jobs"], ["job", "1"], ["disk"], ["scores", "--run", "1"], ["log", "1"]])
def test_a_damaged_index_is_made_again_by_whoever_looks(home: Home, capsys: Words, words: list[str]) -> None:
    assert fada(home, "models") == 0
    made(home)
    spoil(home.runs_db)
    fada(home, *words)
    assert "rebuilt from the run directories" in capsys.readouterr().err
    assert fada(home, "jobs", "--json") == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)] == ["done"]


def test_a_damaged_tracker_keeps_nobody_from_the_queue(home: Home, capsys: Words) -> None:
    assert fada(home, "jobs") == 0
    made(home)
    spoil(home.fada_db)
    capsys.readouterr()
    assert fada(home, "jobs", "--json") == 0
    printed = capsys.readouterr()
    assert [one["state"] for one in json.loads(printed.out)] == ["done"] and "tracker's database" in printed.err
    assert fada(home, "models") == 1 and "fada doctor" in capsys.readouterr().err


@pytest.fixture
def fill(home: Home, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Move HOME to a disk of three megabytes; calling it leaves no byte of that free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here: the full disk was not tried")

    def until_full() -> Path:
        with suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 1024)
        return disk / "filler"

    yield until_full
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_can_be_looked_at_and_room_be_made(
    home: Home, tmp_path: Path, fill: Callable[[], Path], capsys: Words
) -> None:
    home = Home(tmp_path / "disk/home")
    assert fada(home, "jobs") == 0
    first, second = made(home), made(home)
    assert fada(home, "jobs") == 0
    filler = fill()
    capsys.readouterr()
    for words in (["jobs"], ["job", str(first)], ["disk"], ["models"], ["log", str(first)]):
        assert fada(home, *words) == 0, words
    for words in (["run", "--", "true"], ["done", "1"], ["tag", str(first), "x"], ["reindex"]):
        fill()  # what the last command has left
        assert fada(home, *words) == 1, words
        assert "the disk is full" in capsys.readouterr().err
    before = len(list(home.runs.iterdir()))
    fill()
    assert fada(home, "rm", str(first)) == 0
    assert "freed" in capsys.readouterr().out and not home.run_dir(first).exists()
    filler.unlink()
    assert fada(home, "rm", str(first)) in (0, 2)  # gone from the list now, if it was not
    capsys.readouterr()
    assert fada(home, "jobs", "--json") == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [second]
    assert len(list(home.runs.iterdir())) == before - 1  # what was not queued has left nothing


def test_a_job_that_fills_the_disk_can_be_ended(
    home: Home, tmp_path: Path, fill: Callable[[], Path], capsys: Words
) -> None:
    home = Home(tmp_path / "disk/home")
    ready = tmp_path / "ready"
    code = f"import time; open({str(ready)!r}, 'w').close(); time.sleep(300)"
    assert fada(home, "run", "--", sys.executable, "-c", code) == 0
    deadline = time.monotonic() + 240
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    filler = fill()
    attempt = store.read_attempt(home.run_dir(1), 1)
    assert attempt is not None
    assert fada(home, "cancel", "1") == 0
    filler.unlink()
    while True:
        capsys.readouterr()
        assert fada(home, "jobs", "--json") == 0
        (one,) = json.loads(capsys.readouterr().out)
        if one["state"] == "cancelled":
            break
        assert time.monotonic() < deadline, one
        time.sleep(0.1)


def test_the_panel_makes_a_damaged_index_again(home: Home) -> None:
    from fada_tui.sources.reconciler import keep_true

    made(home)
    spoil(home.runs_db)
    keep_true(home)
    with closing(connect(home.runs_db)) as conn:
        assert [row[0] for row in conn.execute("SELECT state FROM runs")] == ["done"]
    with home.runs_db.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 8)
    for side in ("-wal", "-shm"):
        home.runs_db.with_name(home.runs_db.name + side).unlink(missing_ok=True)
    keep_true(home, doubtful=True)
    with closing(connect(home.runs_db)) as conn:
        assert [row[0] for row in conn.execute("SELECT state FROM runs")] == ["done"]
    assert len(list(home.root.glob("runs.db.damaged-*[0-9]"))) >= 1


def test_an_index_that_is_damaged_within_queues_nothing_that_it_says_it_did_not(home: Home, capsys: Words) -> None:
    assert fada(home, "jobs") == 0
    made(home)
    with home.runs_db.open("r+b") as file:  # behind the first page
        file.seek(4096)
        file.write(b"\xff" * (home.runs_db.stat().st_size - 4096))
    for side in ("-wal", "-shm"):
        home.runs_db.with_name(home.runs_db.name + side).unlink(missing_ok=True)
    status = fada(home, "run", "--", "true")
    queued = "#2 queued" in capsys.readouterr().out
    assert queued == (status == 0)
    assert fada(home, "jobs", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 1 + queued
