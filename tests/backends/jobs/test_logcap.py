"""A log keeps its head and tail on the disk, and reading it says what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.jobs import logcap, runner
from backends.jobs.logcap import cap
from backends.jobs.logs import read_from, tail, tail_bytes
from db.home import Home
from db.runs.rows import Run

LIMIT = 1 << 20


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number:07}\n" for number in range(400_000)))  # 5.2 MB
    try:
        cap(path, 1 << 30)
        logcap._punch(os.open(path, os.O_RDWR), 0, 4096)
    except OSError as error:
        pytest.skip(f"holes cannot be punched here: {error}")
    path.write_text("".join(f"line {number:07}\n" for number in range(400_000)))
    return path


def test_head_and_tail_stay_and_the_room_is_given_back(log: Path) -> None:
    size = log.stat().st_size
    assert cap(log, LIMIT) > 3 * LIMIT
    assert log.stat().st_size == size
    assert log.stat().st_blocks * 512 <= LIMIT
    data = log.read_bytes()
    assert data.startswith(b"line 0000000\n") and data.endswith(b"line 0399999\n")
    assert data[: LIMIT // 4].count(0) == 0 and data[-LIMIT // 2 :].count(0) == 0


def test_writers_go_on_at_the_end_and_it_is_kept_small_again(log: Path) -> None:
    with open(log, "ab") as writer:
        cap(log, LIMIT)
        for _ in range(3):
            writer.write(b"more\n" * 300_000)
            writer.flush()
            cap(log, LIMIT)
    assert log.stat().st_blocks * 512 <= LIMIT
    assert tail(log, 2) == ["more", "more"]
    assert read_from(log, 0, 13)[0] == b"line 0000000\n"


def test_a_small_log_is_let_be(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 100)
    assert cap(path, LIMIT) == 0
    assert path.read_bytes() == b"x" * 100


def test_reading_says_what_was_left_out(log: Path) -> None:
    whole = log.read_bytes()
    cap(log, LIMIT)
    text, end = tail_bytes(log, 10_000_000)
    head, _, rest = text.partition("\n… ".encode())
    said, _, last = rest.partition(b"\n")
    assert said.decode().endswith(" left out …") and "MiB" in said.decode()
    assert whole.startswith(head) and whole.endswith(last) and end == len(whole)
    assert b"\0" not in text


def test_following_jumps_over_the_hole(log: Path) -> None:
    cap(log, LIMIT)
    offset, pieces = 0, []
    while True:
        data, offset = read_from(log, offset, 100_000)
        if not data:
            break
        pieces.append(data)
    text = b"".join(pieces)
    assert text.count(b"left out") == 1 and b"\0" not in text and text.endswith(b"line 0399999\n")


def test_a_tail_of_gigabytes_reads_only_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with open(path, "wb") as file:
        file.write(b"head\n")
        file.seek(8 << 30)
        file.write(b"one\ntwo\n")
    lines = tail(path, 10)
    assert lines[0].startswith("head") and lines[-2:] == ["one", "two"]
    assert "… 8.0 GiB left out …" in lines


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"\r50%" * (8 << 20))
    assert len(tail_bytes(path, 5)[0]) < 20 << 20


def test_the_runner_keeps_a_noisy_job_small(
    home: Home, queue_python: Callable[..., int], until: Callable[..., Run]
) -> None:
    home.config.write_text(f"[limits]\nlog_bytes = {LIMIT}\n")
    code = "import sys, time\nfor n in range(40): sys.stdout.write('x' * 499_999 + '\\n'); sys.stdout.flush(); time.sleep(0.05)\ntime.sleep(1)\nprint('the end')"
    run = until(queue_python(code))
    log = home.run_dir(run.id) / "log.txt"
    assert run.state == "done" and log.stat().st_size > 20_000_000
    assert log.stat().st_blocks * 512 <= LIMIT
    assert tail(log, 1) == ["the end"]


def test_where_holes_cannot_be_punched_it_is_said_once(
    home: Home, queue_python: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queue_python("pass", held=True)

    def refuse(path: Path, limit: int) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(runner, "cap", refuse)
    made = runner.Runner(home, run_id, 1, -1)
    for _ in range(3):
        made._cap_log()
    (line,) = (home.run_dir(run_id) / "events.jsonl").read_text().splitlines()
    assert "Operation not supported" in line and "it grows" in line
