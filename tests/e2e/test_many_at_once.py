"""Two panels and ten commands at a time on one HOME: nobody is told that the database is locked, no change is lost."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from db.connect import connect
from db.home import Home
from db.runs.queries import get_run, list_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COMMANDS = 10
PATIENCE_S = 240.0


class Panel:
    """The real program on a terminal of its own; what it draws is read and thrown away."""

    def __init__(self, words: list[str]) -> None:
        self._terminal, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env={**os.environ, "TERM": "xterm"}
        )
        os.close(slave)
        self.drawn = b""
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        with suppress(OSError):
            while data := os.read(self._terminal, 1 << 16):
                self.drawn = (self.drawn + data)[-(1 << 20) :]

    def press(self, keys: bytes) -> None:
        os.write(self._terminal, keys)


@pytest.fixture
def panels(fada: list[str], fresh_home: Home) -> Iterator[list[Panel]]:
    made = [Panel([*fada, "--home", str(fresh_home.root)]) for _ in range(2)]
    yield made
    for panel in made:
        panel.process.kill()
        panel.process.wait()


def together(fada: list[str], home: Home, lines: list[list[str]]) -> list[str]:
    """Start all the commands at once; what each printed. Each must succeed without a word on standard error."""
    started = [
        subprocess.Popen(
            [*fada, "--home", str(home.root), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for words in lines
    ]
    printed = []
    for process, words in zip(started, lines, strict=True):
        out, error = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, error) == (0, ""), (words, error)
        printed.append(out)
    return printed


def test_two_panels_and_ten_commands_at_once(
    fada: list[str], fresh_home: Home, panels: list[Panel], tmp_path: Path
) -> None:
    home, ran = fresh_home, tmp_path / "ran"
    code = f"import os; open({str(ran)!r}, 'a').write(os.environ['FADA_RUN'] + ' ')"
    queued = together(fada, home, [["--json", "run", "--", sys.executable, "-c", code]] * COMMANDS)
    ids = sorted(run for text in queued for run in json.loads(text)["runs"])
    assert ids == list(range(1, COMMANDS + 1))

    together(
        fada,
        home,
        [
            *(["done", str(number)] for number in (1, 2, 3)),
            *(["jobs", "--json"] for _ in range(3)),
            *(["scores", "--json"] for _ in range(2)),
            *(["models", "--json"] for _ in range(2)),
        ],
    )
    (items,) = together(fada, home, [["items", "--json"]])
    assert {item["number"] for item in json.loads(items) if item["done"]} >= {1, 2, 3}

    deadline = time.monotonic() + PATIENCE_S
    with closing(connect(home.runs_db)) as conn:
        while not all(run.is_over for run in list_runs(conn)):
            assert time.monotonic() < deadline, list_runs(conn)
            time.sleep(0.2)
        assert [run.state for run in list_runs(conn)] == ["done"] * COMMANDS
        assert sorted(map(int, ran.read_text().split())) == ids
        tags = [f"t{number}" for number in range(COMMANDS)]
        label = (
            "import sys; from pathlib import Path; from db.home import Home; from backends.jobs.labelling import tag; "
            "tag(Home(Path(sys.argv[1])), 1, [sys.argv[2]])"
        )
        taggers = [subprocess.Popen([sys.executable, "-c", label, str(home.root), one]) for one in tags]
        assert [process.wait(PATIENCE_S) for process in taggers] == [0] * COMMANDS
        run = get_run(conn, 1)
        assert run is not None and sorted(run.tags) == tags

    for panel in panels:
        assert panel.process.poll() is None and b"locked" not in panel.drawn
        panel.press(b"q")
    for panel in panels:
        assert panel.process.wait(60) == 0
