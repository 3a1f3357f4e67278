"""Training times and sizes of exports that runs of a model left."""

from __future__ import annotations

import json
import sqlite3

from db.tracker.measured import measured


def add(conn: sqlite3.Connection, run: int, kind: str, summary: dict[str, object], state: str = "done") -> None:
    spec = json.dumps({"convert": {"to": "gguf", "quant": "q4_k_m"}} if kind == "convert" else {})
    conn.execute(
        "INSERT INTO runs(id, kind, task, model, state, attempt, created, position, spec, summary)"
        " VALUES (?, ?, ?, 'qwen2-vl-2b', ?, 1, 0, ?, ?, ?)",
        (run, kind, None, state, run, spec, json.dumps(summary)),
    )


def test_times_and_sizes_newest_first(runs_conn: sqlite3.Connection) -> None:
    add(runs_conn, 1, "finetune", {"seconds": 200.2, "samples": 1600, "method": "unsloth"})
    add(runs_conn, 2, "finetune", {"seconds": 4, "trainer": "axolotl"})
    add(runs_conn, 3, "finetune", {"seconds": 9}, "failed")
    add(
        runs_conn, 4, "convert", {"files": [{"path": "a", "bytes": 1_500_000_000}, {"path": "b", "bytes": 700_000_000}]}
    )
    add(runs_conn, 5, "convert", {"files": [{"path": "a", "bytes": 2_000_000}]})
    add(runs_conn, 6, "convert", {})
    assert [(one.run, one.words) for one in measured(runs_conn, ["Qwen2-VL-2B"])] == [
        (2, "trained in 4 s, axolotl"),
        (1, "trained in 3 min 20 s (1600 samples), unsloth"),
        (5, "gguf q4_k_m: 2.0 MB"),
        (4, "gguf q4_k_m: 2.20 GB in 2 files"),
    ]
    assert measured(runs_conn, ["FetalCLIP"]) == ()
