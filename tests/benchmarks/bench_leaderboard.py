"""Opening the leaderboard of very many runs, against reading the same rows from SQLite and nothing else.

Arguments: numbers of runs (100 and 1,000 unless given), each with 64 stored scores.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from backends.leaderboard.arrange import arrange
from backends.leaderboard.entries import Query, View
from backends.leaderboard.read import read_candidates
from db.connect import connect
from db.home import Home
from db.migrate import migrate
from fada_tui.leaderboard.lines import board_rows

COUNTS = (100, 1_000)
ROUNDS = 5
QUESTIONS, CATEGORIES = 16, 15
METRICS = ("cosine", "exact")


def body(metric: str, question: str | None, category: str | None, value: float) -> str:
    """A stored score of about the size that an evaluation leaves."""
    alarm = {"kind": "collapse", "question": "Q3", "text": "Q3: 97% of 600 answers are “axial”"}
    row = {"metric": metric, "question": question, "category": category, "value": value, "n": 600, "answered": 600}
    row |= {"failed": 0, "ci_low": value - 0.02, "ci_high": value + 0.02, "interval": "bca", "gain": value - 0.5}
    row |= {"floors": {"majority": 0.5, "shuffled": value / 2}, "references": {"category_majority": 0.7}}
    row |= {"alarms": [alarm] if value > 0.9 and category is None else [], "digest": "d" * 16, "scorer": 2}
    row |= {"embedding": {"name": "all-MiniLM-L6-v2", "weights_sha256": "e" * 64, "dimensions": 384}}
    return json.dumps(row, ensure_ascii=False)


def fill(conn: sqlite3.Connection, runs: int) -> None:
    """Runs of half as many models, each twice, with their scores."""
    spec = {"data": {"path": "/data/test.jsonl", "sha256": "a" * 64, "limit": None}, "seed": 0, "prompt": None}
    spec |= {"generation": {"max_new_tokens": 64, "batch_size": 8}, "env": {f"NAME_{at}": "x" * 40 for at in range(40)}}
    ofs = [
        (None, None),
        *((f"Q{at}", None) for at in range(QUESTIONS)),
        *((None, f"C{at}") for at in range(CATEGORIES)),
    ]
    conn.execute("BEGIN")
    for run in range(1, runs + 1):
        conn.execute(
            "INSERT INTO runs(id, kind, task, model, state, attempt, created, position, spec) "
            "VALUES (?, 'eval', 'gt', ?, 'done', 1, 0, ?, ?)",
            (run, f"Model-{run % (runs // 2)}", run, json.dumps(spec)),
        )
        value = 0.3 + 0.65 * (run * 7919 % runs) / runs
        conn.executemany(
            "INSERT INTO scores(run, metric, question, category, partial, body) VALUES (?,?,?,?,0,?)",
            [(run, metric, *of, body(metric, *of, value)) for metric in METRICS for of in ofs],
        )
    conn.execute("COMMIT")


def best(work: Callable[[], object]) -> float:
    """Processor seconds of the quickest of a few rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def measure(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").ensure()
        migrate(home)
        with closing(connect(home.runs_db)) as conn:
            fill(conn, runs)
            found = read_candidates(conn, None, Query("gt"))
            board = arrange(found, View(newest=False))
            raw = best(
                lambda: [
                    json.loads(row[0])
                    for row in conn.execute(
                        "SELECT body FROM scores WHERE metric = 'cosine' AND question IS NULL AND category IS NULL"
                    )
                ]
            )
            figures = {
                "read": best(lambda: read_candidates(conn, None, Query("gt"))),
                "arrange": best(lambda: arrange(found, View(newest=False))),
                "lines": best(lambda: board_rows(board, 120, ())),
            }
        for name, seconds in figures.items():
            told = {"bench": f"leaderboard {name}", "runs": runs, "ms": round(1000 * seconds, 1)}
            print(json.dumps(told | {"raw_ms": round(1000 * raw, 1), "ratio": round(seconds / raw, 2)}), flush=True)


if __name__ == "__main__":
    for number in [int(word) for word in sys.argv[1:]] or COUNTS:
        measure(number)
