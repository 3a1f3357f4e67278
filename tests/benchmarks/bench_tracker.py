"""The tracker with few and very many models, each step against the same rows in raw SQLite.

Arguments: numbers of models (42, 20,000 and 100,000 unless given).
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.tracker.edits import set_status, undo
from db.tracker.importer import import_note
from db.tracker.queries import find_models, load_tracker, refresh_tracker
from db.tracker.rows import STATUS_LADDER
from fada_tui.listing.fuzzy import Query
from fada_tui.listing.listing import Shelves, Wanted, arrange

COUNTS = (42, 20_000, 100_000)
ROUNDS = 5
_FIELDS = "name, section, size, vram, status, notes, columns"


def note(count: int) -> bytes:
    """A note of one long table, and a checklist with one item for a hundred models."""
    lines = ["# T", "", "## Many", "", "| Model | Family | Size | VRAM | Status | Notes |", "|---|---|---|---|---|---|"]
    for at in range(count):
        status = STATUS_LADDER[at % len(STATUS_LADDER)]
        notes = f"{at % 100}.5% proxy, note number {at}"
        lines.append(f"| **Model-{at}** | Fam{at % 50} | {at % 70}B | ~{at % 40}GB | {status} | {notes} |")
    lines += ["", "## Priority", "", "### Phase 1"]
    lines += [f"{at + 1}. [ ] Model-{at * 7 % count}" for at in range(max(1, count // 100))]
    return ("\n".join(lines) + "\n").encode()


class Raw:
    """The same rows in a table of their own, written and read with nothing of ours."""

    def __init__(self, folder: Path, rows: list[tuple[object, ...]]) -> None:
        self.conn = sqlite3.connect(folder / "raw.db")
        self.conn.execute("PRAGMA journal_mode=WAL")
        self.conn.execute("PRAGMA synchronous=NORMAL")
        self.conn.execute(f"CREATE TABLE m(id INTEGER PRIMARY KEY, {_FIELDS})")
        self.conn.execute("CREATE UNIQUE INDEX m_name ON m(name)")
        self.rows = rows

    def insert(self) -> None:
        with self.conn:
            self.conn.execute("DELETE FROM m")
            self.conn.executemany(f"INSERT INTO m({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?)", self.rows)

    def select(self) -> None:
        self.conn.execute(f"SELECT id, {_FIELDS} FROM m").fetchall()

    def one(self) -> None:
        self.conn.execute(f"SELECT id, {_FIELDS} FROM m WHERE name = 'Model-7'").fetchone()

    def update(self) -> None:
        with self.conn:
            self.conn.execute("UPDATE m SET status = CASE status WHEN 'x' THEN 'y' ELSE 'x' END WHERE name = 'Model-7'")

    def like(self) -> None:
        self.conn.execute("SELECT id FROM m WHERE name || notes LIKE '%del-77%'").fetchall()


def seconds(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of several runs."""
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[rounds // 2]


def figure(name: str, count: int, ours: float, against: str, raw: float) -> None:
    shown = {"figure": f"{name}, {count} models", "value": round(ours * 1000, 2), "unit": "ms"}
    print(json.dumps({**shown, "against": against, "ratio": round(ours / raw, 2)}), flush=True)


def measure(conn: sqlite3.Connection, folder: Path, count: int) -> None:
    data = note(count)
    first = seconds(lambda: import_note(conn, data, "note.md", "bench"), 1)
    raw = Raw(folder, [tuple(row) for row in conn.execute(f"SELECT {_FIELDS} FROM models ORDER BY position")])
    insert = seconds(raw.insert, 1)
    figure("import", count, first, "executemany of the same rows", insert)
    again = seconds(lambda: import_note(conn, data, "note.md", "bench"), 1)
    figure("import of the same note", count, again, "executemany of the same rows", insert)
    figure("load", count, seconds(lambda: load_tracker(conn), 3), "a select of the same rows", seconds(raw.select, 3))
    tracker = load_tracker(conn)
    edits, refreshes, undos = [], [], []
    for status in STATUS_LADDER[1 : ROUNDS + 1]:
        edits.append(seconds(partial(set_status, conn, "Model-7", status), 1))
        refreshes.append(seconds(lambda: refresh_tracker(conn, tracker), 1))
    for _ in range(ROUNDS):
        undos.append(seconds(lambda: undo(conn), 1))
    update = seconds(raw.update)
    figure("one edit", count, sorted(edits)[ROUNDS // 2], "an update of that row", update)
    figure("refresh after it", count, sorted(refreshes)[ROUNDS // 2], "a select of that row", seconds(raw.one))
    figure("undo", count, sorted(undos)[ROUNDS // 2], "an update of that row", update)
    find = seconds(lambda: find_models(conn, "MODEL 7"))
    figure("a name in other spelling", count, find, "a select of that row", seconds(raw.one))
    shelves = Shelves.of(tracker)
    arrange(shelves, Wanted(query=Query("x")))
    like = seconds(raw.like)
    for text in ("del-77", "mdl77"):
        ours = seconds(partial(arrange, shelves, Wanted(query=Query(text))))
        figure(f"filter by {text}", count, ours, "a select with LIKE", like)
    raw.conn.close()


def main() -> None:
    for count in [int(text) for text in sys.argv[1:]] or COUNTS:
        with tempfile.TemporaryDirectory() as name:
            home = Home(Path(name) / "home").ensure()
            migrate(home)
            with closing(connect(home.fada_db)) as conn:
                measure(conn, Path(name), count)


if __name__ == "__main__":
    main()
