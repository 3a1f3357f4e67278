"""Opening a run with very many points: against one with ten thousand. ``--points 10000000`` takes a minute to fill."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.curves import add_points, curve, curve_id, summaries

BATCH = 50_000
FEW = 10_000


def fill(conn: Connection, run_id: int, count: int) -> float:
    """The processor seconds it took."""
    begin = time.process_time()
    for start in range(0, count, BATCH):
        with immediate(conn):
            one = curve_id(conn, run_id, "loss")
            steps = range(start, min(count, start + BATCH))
            add_points(conn, one, [(one, step, 1.0 / (1 + step), 1.0) for step in steps])
    return time.process_time() - begin


def opening_seconds(conn: Connection, run_id: int) -> float:
    """The median processor time of what the Run pane reads: the summary and the curve."""
    times = []
    for _ in range(15):
        begin = time.process_time()
        summaries(conn, run_id)
        curve(conn, run_id, "loss", points=400)
        times.append(time.process_time() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=1_000_000)
    many = parser.parse_args().points
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home").ensure()
        migrate(home)
        with closing(connect(home.runs_db)) as conn:
            fill(conn, 1, FEW)
            filled = fill(conn, 2, many)
            few, ours = opening_seconds(conn, 1), opening_seconds(conn, 2)
            size = home.runs_db.stat().st_size
    figure = {"figure": f"opening a curve of {many:,} points", "value": round(ours * 1000, 2), "unit": "ms"}
    print(json.dumps({**figure, "against": f"a curve of {FEW:,} points", "ratio": round(ours / few, 2)}))
    plain = {"figure": "points and buckets stored", "value": round(many / filled), "unit": "points/s"}
    print(json.dumps({**plain, "against": "bytes a point", "ratio": round(size / (many + FEW), 1)}))


if __name__ == "__main__":
    main()
