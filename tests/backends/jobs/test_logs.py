from __future__ import annotations

from pathlib import Path

from backends.jobs.logs import read_from, tail


def test_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"line {number}\n" for number in range(50_000)))
    assert tail(log, 2) == ["line 49998", "line 49999"]


def test_progress_bars_settle_on_their_last_state(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b" 10%\r 50%\r100%\nnext\r\n\xff\n")
    assert tail(log) == ["100%", "next", "�"]


def test_following_goes_on_and_starts_over_when_the_file_was_cut(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("abc")
    assert read_from(log, 1) == (b"bc", 3)
    log.write_text("x")
    assert read_from(log, 3) == (b"x", 1)
    assert tail(tmp_path / "none") == []
