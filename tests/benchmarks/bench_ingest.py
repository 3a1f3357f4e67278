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
    begin = time.process_time()
    with conn, path.open("rb") as file:
        rows = ((1, e["name"], e["step"], e["value"], e["t"]) for e in map(json.loads, file))
        conn.executemany("INSERT OR REPLACE INTO m VALUES (?,?,?,?,?)", rows)
    return time.process_time() - begin


def our_seconds(home: Home, path: Path) -> float:
    """Processor seconds to take in a run whose event file is ``path``."""
    with closing(connect(home.runs_db)) as conn:
        run_id = store.allocate(home)
        store.create(home, run_id, {"kind": "run", "task": None, "title": "b", "created": 1.0, "held": True})
        adopt(conn, home, run_id)
        path.rename(home.run_dir(run_id) / "events.jsonl")
        begin = time.process_time()
        ingest(conn, home, run_id)
        return time.process_time() - begin


def write_events(path: Path, kinds: tuple[str, ...]) -> Path:
    fields = {
        "metric": {"name": "loss", "value": 0.5},
        "progress": {"total": LINES, "unit": "steps", "phase": "train"},
        "message": {"level": "info", "text": "an answer was empty"},
    }
    with path.open("w") as file:
        for step in range(LINES):
            kind = kinds[step % len(kinds)]
            at = {"t": 1.0 + step / 100, "kind": kind, "step": step, "done": step}
            file.write(json.dumps({**at, **fields[kind]}) + "\n")
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home").ensure()
        migrate(home)
        events = Path(name) / "events.jsonl"
        raw = raw_seconds(write_events(events, ("metric",)), Path(name))
        for what, kinds in (("metric", ("metric",)), ("mixed", ("metric", "progress", "metric", "message"))):
            ours = our_seconds(home, write_events(events, kinds))
            figure = {"figure": f"ingest of {what} events", "value": round(LINES / ours), "unit": "lines/s of a core"}
            print(json.dumps({**figure, "against": "json.loads + executemany", "ratio": round(ours / raw, 2)}))


if __name__ == "__main__":
    main()
