"""A day at the panel, at speed: samples, jobs and a long log; the memory of its process must not grow with them.

Arguments: --samples 86400 (a tenth of a day unless given), --log-bytes 1073741824.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path

import psutil
from bench_panel import with_history
from terminal import Terminal

from backends.telemetry.sample import Gpu, Host, Telemetry
from db.home import Home
from fada_tui import app
from fada_tui.app import PanelApp
from fada_tui.sources.views import TelemetryView

JOBS, KEPT, GIB = 100, 600, 1 << 30
FIRST = 1000
"""Samples before memory is measured the first time: all that is kept is full."""


def sample_at(second: int) -> Telemetry:
    gpu = Gpu(
        0,
        "RTX 5090",
        "GPU-a",
        second % 101 / 100,
        second % 30 * GIB,
        32 * GIB,
        300 + second % 200,
        575,
        60 + second % 9,
    )
    return Telemetry(1e9 + second, (gpu,), None, Host(second % 97 / 96, 16, 8 * GIB + second, 64 * GIB, 512 * GIB))


class Day(PanelApp):
    """Samples come as fast as they are taken in; resident bytes are written to a file as they come."""

    CSS_PATH = Path(app.__file__).with_name("app.tcss")

    def __init__(self, home: Home, samples: int, told: Path) -> None:
        super().__init__(home)
        self.samples, self.told = samples, told

    def _start_others(self) -> None:
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        kept: deque[Telemetry] = deque(maxlen=KEPT)
        process = psutil.Process()
        for second in range(self.samples):
            kept.append(sample_at(second))
            self.call_from_thread(self.dashboard.show_telemetry, TelemetryView(tuple(kept)))
            if second == FIRST or second % 1000 == 999:
                self.told.write_text(json.dumps({"second": second, "rss": process.memory_info().rss}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=8640)
    parser.add_argument("--log-bytes", type=int, default=GIB)
    parser.add_argument("--play", metavar="HOME")
    args = parser.parse_args()
    if args.play:
        Day(Home(Path(args.play)), args.samples, Path(args.play) / "told").run()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        with_history(root, JOBS)
        log = root / "runs" / str(JOBS) / "log.txt"
        log.parent.mkdir(parents=True)
        line = b"step 812 loss 0.4120 learning rate 1e-4 tokens 1203 " + b"." * 40 + b"\n"
        with log.open("wb") as file:
            for _ in range(args.log_bytes // (len(line) * 10_000)):
                file.write(line * 10_000)
        words = [sys.executable, "-P", __file__, "--play", name, "--samples", str(args.samples)]
        terminal = Terminal(words, {"PYTHONPATH": str(Path(__file__).parent)})
        terminal.read_for(30, b"Tier 1")
        first, last = watch(terminal, root / "told", args.samples)
        terminal.press(b"2l")
        terminal.read_for(20, b"step 812")
        terminal.press(b"gGgG")
        terminal.read_for(5.0)
        with_log = psutil.Process(terminal.process.pid).memory_info().rss
        terminal.close()
        figure(f"resident after {args.samples:,} samples and {JOBS} jobs", last, first)
        figure(f"the same with a log of {args.log_bytes / GIB:.1f} GiB open", with_log, first)


def watch(terminal: Terminal, told: Path, samples: int) -> tuple[int, int]:
    """Resident bytes after the first thousand samples, and after all."""
    first = last = 0
    while True:
        terminal.read_for(0.5)
        assert terminal.process.poll() is None, "the panel has ended"
        try:
            seen = json.loads(told.read_text())
        except (OSError, ValueError):
            continue
        first, last = first or seen["rss"], seen["rss"]
        if seen["second"] >= samples - 1000:
            return first, last


def figure(name: str, value: int, first: int) -> None:
    against = f"after {FIRST:,} samples"
    told = {
        "figure": name,
        "value": round(value / 1e6, 1),
        "unit": "MB",
        "against": against,
        "ratio": round(value / first, 3),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
