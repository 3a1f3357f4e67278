"""How fast event lines and answers become rows, against json.loads and executemany alone."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from db.connect import connect
from db.home import Home
from db.migrate import migrate

LINES = 200_000


def raw_seconds(path: Path, folder: Path) -> float:
    conn = sqlite3.connect(folder / "raw.db")
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute(
        "CREATE TABLE m(run INTEGER, name TEXT, step INTEGER, value REAL, t REAL, PRIMARY KEY(run, name, step))"
    )
    begin = time.perf_counter()
    with conn, path.open("rb") as file:
        rows = ((1, e["name"], e["step"], e["value"], e["t"]) for e in map(json.loads, file))
        conn.executemany("INSERT OR REPLACE INTO m VALUES (?,?,?,?,?)", rows)
    return time.perf_counter() - begin


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home").ensure()
        migrate(home)
        with closing(connect(home.runs_db)) as conn:
            run_id = store.allocate(home)
            store.create(home, run_id, {"kind": "run", "task": None, "title": "b", "created": 1.0, "held": True})
            adopt(conn, home, run_id)
            events = home.run_dir(run_id) / "events.jsonl"
            with events.open("w") as file:
                for step in range(LINES):
                    file.write(
                        json.dumps({"t": 1.0, "kind": "metric", "name": "loss", "value": 0.5, "step": step}) + "\n"
                    )
            begin = time.perf_counter()
            ingest(conn, home, run_id)
            ours = time.perf_counter() - begin
        raw = raw_seconds(events, Path(name))
    figure = {"figure": "ingest of metric events", "value": round(LINES / ours), "unit": "lines/s"}
    print(json.dumps({**figure, "against": "json.loads + executemany", "ratio": round(ours / raw, 2)}))


if __name__ == "__main__":
    main()
