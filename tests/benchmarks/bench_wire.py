"""What goes over the wire at 120×40 in true colour: first screen, idle, telemetry each second, a log, a mouse move.

The whole program on a pty, beside a stand-in card (needs gcc); sent as Textual does (`[panel] diff = false`), and as we do. btop
and htop are measured in the same run where they are installed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import standin
from terminal import Terminal

from backends.jobs.queue import cancel
from db.home import Home
from fada_tui.cli.context import Context

FIRST_S, WATCH_S, MOVES = 4.0, 12.0, 20
TALKER = "import time\nfor step in range(10**6): print(f'step {step} loss {1 / (1 + step):.4f}', flush=True); time.sleep(0.5)"


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """A card whose figures all move once a second."""
    over, dice = threading.Event(), random.Random(1)

    def move() -> None:
        while not over.wait(1.0):
            standin.card(
                folder, dice.randrange(70, 100), dice.uniform(18, 24), dice.uniform(380, 420), dice.randrange(60, 66)
            )

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        standin.card(folder, 0, 0.5, 22.0, 35)


def rate(terminal: Terminal, seconds: float = WATCH_S) -> float:
    """Bytes a second."""
    before = terminal.bytes
    terminal.read_for(seconds)
    return (terminal.bytes - before) / seconds


def moves(terminal: Terminal) -> float:
    """Bytes a mouse move, over rows of the tracker."""
    before = terminal.bytes
    for at in range(MOVES):
        terminal.press(f"\x1b[<35;{10 + at};{4 + at}M".encode())
        terminal.read_for(0.1)
    return (terminal.bytes - before) / MOVES


def panel(folder: Path, environment: dict[str, str], diff: bool) -> float:
    """All figures of one panel; what it sends at telemetry each second."""
    way = "changed cells alone" if diff else "as Textual sends"
    home = Home(folder / f"home-{diff}")
    Context(home).prepare()
    home.greeted.touch()  # the first page would lie over the pane of the card
    home.config.write_text(f"[panel]\ndiff = {str(diff).lower()}\n")
    standin.card(folder, 0, 0.5, 22.0, 35)
    terminal = Terminal([sys.executable, "-P", "-m", "fada_tui", "--home", str(home.root)], environment)
    terminal.read_for(30, b"5090")
    terminal.read_for(FIRST_S)
    figure("bytes until the first screen stands", way, terminal.bytes, "B", "goal", 30_000)
    figure("idle, no change on the card", way, rate(terminal), "B/s")
    figure("one mouse move", way, moves(terminal), "B", "goal", 1000)
    with working(folder):
        terminal.read_for(2.0)
        told = rate(terminal)
        figure("telemetry each second", way, told, "B/s", "goal", 1500)
        run = json.loads(_fada(home, environment, "run", "--json", "--", sys.executable, "-c", TALKER))["runs"][0]
        terminal.read_for(4.0)
        figure("telemetry each second beside a job that prints", way, rate(terminal), "B/s", "goal", 1500)
        terminal.press(b"2l")
        terminal.read_for(20, b"loss 0.")
        terminal.read_for(2.0)
        figure("telemetry each second and a log that is followed", way, rate(terminal), "B/s", "goal", 4000)
        cancel(home, run)
    terminal.close()
    return told


def _fada(home: Home, environment: dict[str, str], *words: str) -> str:
    words = (sys.executable, "-P", "-m", "fada_tui", *words[:1], "--home", str(home.root), *words[1:])
    return subprocess.run(words, env=os.environ | environment, check=True, capture_output=True, text=True).stdout


def figure(name: str, way: str, value: float, unit: str, against: str | None = None, base: float | None = None) -> None:
    ratio = round(value / base, 3) if base else None
    print(
        json.dumps(
            {"figure": f"{name}, {way}", "value": round(value, 1), "unit": unit, "against": against, "ratio": ratio}
        )
    )


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environment = standin.build(folder)
        if environment is None:
            print(json.dumps({"figure": "what goes over the wire", "value": None, "unit": "no gcc here"}))
            return
        told = [panel(folder, environment, diff) for diff in (False, True)][-1]
        for other, words in (("btop", ["btop"]), ("htop", ["htop", "-d", "10"])):
            if shutil.which(other) is None:
                print(json.dumps({"figure": f"{other}", "value": None, "unit": "not installed here"}))
                continue
            terminal = Terminal(words)
            terminal.read_for(FIRST_S)
            theirs = rate(terminal)
            terminal.close()
            figure(other, "at its own interval", theirs, "B/s")
            figure("telemetry each second", "changed cells alone", told, "B/s", other, theirs)


if __name__ == "__main__":
    main()
