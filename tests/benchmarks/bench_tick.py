"""One tick with ten thousand finished runs behind it, against one with three hundred."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from backends.jobs import store
from backends.jobs.reconcile import tick
from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.queries import list_runs

HISTORY = 10_000


def seconds(folder: Path, finished: int) -> float:
    """The median processor time of a tick and of the panel's list, with two held runs."""
    home = Home(folder).ensure()
    migrate(home)
    with closing(connect(home.runs_db)) as conn:
        with immediate(conn):
            conn.executemany(
                "INSERT INTO runs(id, kind, model, state, attempt, created, position, exclusive, spec) "
                "VALUES (?, 'run', 't', 'done', 1, 1.0, ?, 0, '{}')",
                [(run_id, float(run_id)) for run_id in range(1, finished + 1)],
            )
        for run_id in range(1, finished + 1):
            home.run_dir(run_id).mkdir()
        for _ in range(2):
            spec = {"kind": "run", "task": None, "title": "t", "created": 1.0, "held": True}
            store.create(home, store.allocate(home), spec)
        os.utime(home.runs, (1.0, 1.0))
        times = []
        for _ in range(60):
            begin = time.process_time()
            tick(conn, home)
            list_runs(conn, limit=200)
            times.append(time.process_time() - begin)
        return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        short, long = seconds(Path(name) / "short", 300), seconds(Path(name) / "long", HISTORY)
    figure = {"figure": f"a tick and the panel's list after {HISTORY:,} runs", "value": round(long * 1000, 2)}
    print(json.dumps({**figure, "unit": "ms", "against": "after 300 runs", "ratio": round(long / short, 2)}))


if __name__ == "__main__":
    main()
