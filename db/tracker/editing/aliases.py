"""Other names of models: what tying and untying one means for the tables."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from db.tracker.indexing.index import relink


@dataclass(frozen=True)
class Tie:
    """An alias of a model. ``absent`` is the row of the model that had this name and is no longer in the note.

    ``carried`` are that model's own aliases, which go over to the new one.
    """

    alias: str
    model: str
    who: str
    time: float
    absent: dict[str, Any] | None = None
    carried: tuple[str, ...] = ()

    @classmethod
    def of(cls, detail: dict[str, Any]) -> Tie:
        """From a history entry; the oldest ones do not say when."""
        known = {"time": time.time(), **detail}
        carried = tuple(known.get("carried", ()))
        return cls(known["alias"], known["model"], known["who"], known["time"], known.get("absent"), carried)


def tie(conn: sqlite3.Connection, made: Tie) -> None:
    """Make the alias, inside the caller's transaction; the absent model of that name is one with its new one."""
    if made.absent:
        conn.execute("DELETE FROM models WHERE name = ?", (made.alias,))
    conn.execute(
        "INSERT OR REPLACE INTO aliases(alias, model, who, time) VALUES (?, ?, ?, ?)",
        (made.alias, made.model, made.who, made.time),
    )
    _carry(conn, made, made.model)
    relink(conn)


def untie(conn: sqlite3.Connection, made: Tie) -> None:
    """Take the alias away, inside the caller's transaction; the absent model stands for itself again."""
    conn.execute("DELETE FROM aliases WHERE alias = ?", (made.alias,))
    if made.absent:
        columns = ", ".join(f'"{column}"' for column in made.absent)
        marks = ", ".join("?" * len(made.absent))
        conn.execute(f"INSERT INTO models({columns}) VALUES ({marks})", list(made.absent.values()))
    _carry(conn, made, made.alias)
    relink(conn)


def aliases_of(conn: sqlite3.Connection, model: str) -> tuple[str, ...]:
    """The names given to a model by hand, the oldest first."""
    return tuple(
        row["alias"] for row in conn.execute("SELECT alias FROM aliases WHERE model = ? ORDER BY time, alias", (model,))
    )


def _carry(conn: sqlite3.Connection, made: Tie, model: str) -> None:
    conn.executemany("UPDATE aliases SET model = ? WHERE alias = ?", [(model, alias) for alias in made.carried])


def absent_row(conn: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """The whole row of a model that the note no longer has."""
    row = conn.execute("SELECT * FROM models WHERE name = ? AND absent", (name,)).fetchone()
    return dict(row) if row else None
