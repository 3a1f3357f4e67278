"""A log read in blocks and looked through: from any place, in both directions, with holes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.jobs.logcap import cap
from fada_tui.sources import logreader
from fada_tui.sources.logfile import blocks_back, blocks_on
from fada_tui.sources.logreader import LogReader, Window
from fada_tui.sources.logsearch import Needle, search

LINES = st.lists(st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b" ")), max_size=30)


def always(read: int) -> bool:
    return True


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@given(LINES, st.booleans(), st.integers(1, 40))
def test_blocks_in_both_directions_hold_every_byte_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, size: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.txt"
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    path.write_bytes(data)
    with open(path, "rb") as file:
        on = list(blocks_on(file, 0, size))
        back = list(blocks_back(file, len(data), size))
    assert b"".join(block.data or b"" for block in on) == data
    assert b"".join(block.data or b"" for block in reversed(back)) == data
    if max(map(len, lines), default=0) < size:
        assert all(block.start == 0 or data[block.start - 1 : block.start] == b"\n" for block in (*on, *back))


def test_a_line_is_shown_as_a_terminal_would_and_never_obeyed(log: Path) -> None:
    log.write_bytes(b"\x1b[31mred\x1b[0m\n 1 %\r 50 %\r100 %\r\n\xff\n" + b"x" * 30_000 + b"\n")
    with open(log, "rb") as file:
        texts = [line.text for line in next(blocks_on(file, 0)).lines()]
    assert texts[:3] == ["^[[31mred^[[0m", "100 %", "\ufffd"]
    assert texts[3].endswith("x … 10,000 more characters")


def test_a_hole_is_one_line_that_says_its_size(log: Path) -> None:
    log.write_bytes(b"".join(b"line %07d\n" % number for number in range(100_000)))
    cap(log, 1 << 17)
    with open(log, "rb") as file:
        end = log.stat().st_size
        back = [line.text for block in reversed(list(blocks_back(file, end))) for line in block.lines()]
        on = [line.text for block in blocks_on(file, 0) for line in block.lines()]
    assert back == on
    assert [text for text in on if "left out" in text] == ["… 1.1 MiB left out …"]
    assert on[0] == "line 0000000" and on[-1] == "line 0099999"


def lines_with(path: Path, needle: Needle) -> list[int]:
    with open(path, "rb") as file:
        return [line.start for block in blocks_on(file, 0) for line in block.lines() if needle.places(line.text)]


@pytest.mark.parametrize("text", ["epoch 7", "EPOCH", "Loss", "ü", "^[[1m", "nothing like it"])
def test_going_from_match_to_match_finds_each_once(log: Path, text: str) -> None:
    log.write_text(
        "".join(
            f"\x1b[1mepoch {n % 100}\x1b[0m Loss {n}\r{'grün' if n % 7 else 'blau'} epoch {n}\n" for n in range(5000)
        )
    )
    needle = Needle(text)
    wanted = lines_with(log, needle)
    older: list[int] = []
    here: int | None = log.stat().st_size
    while here is not None and (here := search(log, needle, here, older=True, seen=always)) is not None:
        older.append(here)
        if len(older) > 60:
            break
    assert older == wanted[::-1][: len(older)]
    assert len(older) == min(61, len(wanted))
    newer = search(log, needle, -1, older=False, seen=always)
    assert newer == (wanted[0] if wanted else None)
    if len(wanted) > 1:
        assert search(log, needle, wanted[0], older=False, seen=always) == wanted[1]


def test_what_a_progress_bar_wrote_over_is_not_found(log: Path) -> None:
    log.write_text("first 10 %\rdone\nlast\n")
    assert search(log, Needle("10 %"), 1 << 20, older=True, seen=always) is None
    assert search(log, Needle("done"), 1 << 20, older=True, seen=always) == 0


def test_a_search_is_stopped_after_the_block_it_is_in(log: Path) -> None:
    log.write_bytes(b"needle\n" + b"hay\n" * (1 << 20))
    read: list[int] = []

    def once(so_far: int) -> bool:
        read.append(so_far)
        return False

    assert search(log, Needle("needle"), 1 << 30, older=True, seen=once) is None
    assert len(read) == 1 and 0 < read[0] <= 1 << 20


@contextmanager
def reading(path: Path) -> Iterator[tuple[LogReader, queue.Queue[Window]]]:
    seen: queue.Queue[Window] = queue.Queue()
    reader = LogReader(path, seen.put)
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        yield reader, seen
    finally:
        reader.stop()
        thread.join(10)
    assert not thread.is_alive()


def texts(window: Window) -> list[str]:
    return [line.text for line in window.lines]


def test_it_follows_a_log_that_is_not_there_yet(log: Path) -> None:
    with reading(log) as (_, seen):
        with open(log, "ab", buffering=0) as file:
            file.write(b"one\ntw")
            while texts(window := seen.get(timeout=20)) != ["one", "tw"]:
                pass
            file.write(b"o\nthree\n")
            while texts(window := seen.get(timeout=20)) != ["one", "two", "three"]:
                pass
        assert window.following and window.end == window.size == 14


def test_of_a_large_log_only_a_window_is_held(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreader, "PAGE", 1 << 10)
    log.write_bytes(b"".join(b"line %07d\n" % number for number in range(100_000)))
    with reading(log) as (reader, seen):
        window = seen.get(timeout=20)
        assert window.following and texts(window)[-1] == "line 0099999" and len(window.lines) < 100
        reader.go(13 * 50_000)
        window = seen.get(timeout=20)
        assert window.target == 13 * 50_000 and not window.following
        assert window.lines[0].start < window.target <= window.lines[-1].start
        for _ in range(20):
            reader.older()
            start, window = window.start, seen.get(timeout=20)
            assert window.start < start and len(window.lines) < 1000
        assert texts(window) == [f"line {line.start // 13:07d}" for line in window.lines]
        for _ in range(30):
            reader.newer()
            end, window = window.end, seen.get(timeout=20)
            assert window.end > end
        assert texts(window) == [f"line {line.start // 13:07d}" for line in window.lines]
        reader.go(0)
        assert texts(seen.get(timeout=20))[0] == "line 0000000"
        reader.tail()
        window = seen.get(timeout=20)
        assert window.following and window.end == window.size


def test_an_endless_line_grows_and_comes_in_pieces(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreader, "PAGE", 100)
    with reading(log) as (_, seen), open(log, "ab", buffering=0) as file:
        written = b""
        for number in range(40):
            piece = b"%5d %%\r" % number
            file.write(piece)
            written += piece
        window = seen.get(timeout=20)
        while window.end != len(written):
            window = seen.get(timeout=20)
        assert texts(window)[-1] == "   39 %"
        file.write(b"done\n")
        while window.end != len(written) + 5:
            window = seen.get(timeout=20)
        assert texts(window)[-1] == "done"
