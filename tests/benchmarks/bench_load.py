"""What jobs cost the person at the panel: key to screen and the panel's processor time, with nothing running and beside
four jobs that write 1,000 metrics a second each; and the memory of a job's runner.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
from terminal import Terminal

from backends.jobs import store
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.ingest import adopt
from backends.jobs.queue import cancel
from backends.jobs.spawn import start_dispatcher
from db.connect import connect
from db.home import Home
from fada_tui.cli.context import Context

JOBS, PER_SECOND = 4, 1000
KEYS, WATCH_S = 40, 15.0
HELP = b"Right here, in"
"""The first words of the help."""
WRITER = f"""
import json, os, time
file = open(os.environ["FADA_EVENTS"], "ab", buffering=0)
step, begun = 0, time.time()
while True:
    lines = []
    while step < (time.time() - begun) * {PER_SECOND}:
        lines.append(json.dumps({{"t": time.time(), "kind": "metric", "name": "loss", "value": 1 / (1 + step), "step": step}}))
        step += 1
    if lines:
        file.write(("\\n".join(lines) + "\\n").encode())
    time.sleep(0.02)
"""
"""About twenty writes of twenty lines a second: the lines count, not the calls."""


@contextmanager
def writing(home: Home) -> Iterator[list[int]]:
    """Four jobs at once, whatever number of slots this machine has."""
    with closing(connect(home.runs_db)) as conn:
        runs = []
        for _ in range(JOBS):
            run_id = store.allocate(home)
            spec = {"kind": "run", "task": None, "title": "writer", "created": time.time(), "env": {}, "cwd": "/"}
            store.create(home, run_id, {**spec, "command": [sys.executable, "-c", WRITER]})
            assert adopt(conn, home, run_id) and Local(home).submit([Order(run_id, 1, spec, 0)], "bench") != [None]
            runs.append(run_id)
    start_dispatcher(home)
    time.sleep(3.0)
    yield runs
    for run_id in runs:
        cancel(home, run_id)


def key_delays_ms(panel: Terminal) -> tuple[float, float]:
    """p50 and p99 from pressing ``?`` to the words of the help on the screen."""
    taken = []
    for _ in range(KEYS):
        taken.append(panel.answer(b"?", HELP))
        panel.read_for(0.1)
        panel.press(b"\x1b")
        panel.read_for(0.4)
    return 1000 * statistics.median(taken), 1000 * statistics.quantiles(taken, n=100)[98]


def paint_delays_ms(panel: Terminal) -> tuple[float, float]:
    """p50 and p99 from a key that moves the cursor to the first bytes that come for it, or for anything else."""
    taken = []
    for at in range(5 * KEYS):
        panel.read_for(0.05)
        begun = time.perf_counter()
        panel.press(b"jk"[at % 2 : at % 2 + 1])
        panel.read_some(5.0)
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def panel_share(panel: Terminal) -> float:
    """Percent of a core over a while in which nobody presses a key."""
    before, begun = panel.cpu_s(), time.perf_counter()
    while time.perf_counter() - begun < WATCH_S:
        panel.read_for(0.2)
    return 100 * (panel.cpu_s() - before) / (time.perf_counter() - begun)


def lines_per_s(home: Home, runs: list[int]) -> float:
    """How many metrics a second came into the index: the writers must have kept their pace."""
    with closing(connect(home.runs_db)) as conn:

        def count() -> int:
            return int(conn.execute("SELECT total(lines) FROM curves").fetchone()[0])

        before, begun = count(), time.perf_counter()
        time.sleep(5.0)
        return (count() - before) / (time.perf_counter() - begun)


def pss_mib(pid: int) -> float:
    """Memory of a process with shared pages divided among those who share them."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def runner_mib(home: Home) -> float:
    """The largest of the runners."""
    sizes = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "backends.jobs.runner" in words and str(home.root) in words:
            sizes.append(pss_mib(process.pid))
    return max(sizes)


def bare_mib() -> float:
    """A Python that does nothing."""
    process = psutil.Popen([sys.executable, "-P", "-c", "import time; time.sleep(60)"])
    time.sleep(0.5)
    try:
        return pss_mib(process.pid)
    finally:
        process.kill()
        process.wait()


def figure(name: str, value: float, unit: str, against: str, base: float) -> None:
    ratio = round(value / base, 2) if base else None
    print(json.dumps({"figure": name, "value": round(value, 2), "unit": unit, "against": against, "ratio": ratio}))


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Home(Path(name) / "home")
        Context(home).prepare()
        panel = Terminal([sys.executable, "-P", "-m", "fada_tui", "--home", str(home.root)])
        panel.read_for(5.0)
        quiet_ms, quiet_share = key_delays_ms(panel), panel_share(panel)
        figure("panel, idle", quiet_share, "% of a core", "a whole core", 100.0)
        with writing(home) as runs:
            pace = lines_per_s(home, runs)
            figure("metrics into the index from four jobs", pace, "lines/s", "what they write", JOBS * PER_SECOND)
            for which, taken, quiet in zip(("p50", "p99"), key_delays_ms(panel), quiet_ms, strict=True):
                figure(f"panel, ? to the help beside four jobs, {which}", taken, "ms", "nothing running", quiet)
            for which, taken, goal in zip(("p50", "p99"), paint_delays_ms(panel), (20, 60), strict=True):
                figure(f"panel, key to first paint beside four jobs, {which}", taken, "ms", "goal", goal)
            figure("panel, nobody at it, beside four jobs", panel_share(panel), "% of a core", "idle", quiet_share)
            figure("runner, memory while it ingests (PSS)", runner_mib(home), "MiB", "a bare Python", bare_mib())
        panel.close()


if __name__ == "__main__":
    main()
