"""Reading the tracker. Every function takes a connection to fada.db and returns frozen dataclasses."""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from db.tracker.index import linker
from db.tracker.rows import Change, DocumentScore, Item, Model, ModelDetail, Section, Tracker

ABSENT_TITLE = "No longer in the note"


def load_tracker(conn: sqlite3.Connection) -> Tracker:
    """Sections with their models in the order of the note, then the absent ones, and the items."""
    with _one_view(conn):
        models = _models(conn)
        by_section: dict[int | None, list[Model]] = defaultdict(list)
        for section_id, model in models:
            by_section[section_id].append(model)
        titles = [(row["id"], row["title"]) for row in conn.execute("SELECT id, title FROM sections ORDER BY id")]
        if by_section[None]:
            titles.append((None, ABSENT_TITLE))
        sections = tuple(
            Section(title, position, tuple(by_section[section_id]))
            for position, (section_id, title) in enumerate(titles)
        )
        return Tracker(_title(conn), sections, _items(conn))


def find_models(conn: sqlite3.Connection, name: str) -> list[Model]:
    """The models that a name means; the first rule that finds any wins.

    Rules: exact name; alias; either without regard to case, spaces and hyphens; a name with its size
    (``Llama-3.2-Vision-11B``, ``Gemma-3-Vision:4B``).
    """
    with _one_view(conn):
        exact = _by_names(conn, [name])
        if exact:
            return exact
        aliased = [row["model"] for row in conn.execute("SELECT model FROM aliases WHERE alias = ?", (name,))]
        return _by_names(conn, aliased or linker(conn).named(name))


def nearest_names(conn: sqlite3.Connection, name: str, limit: int = 3) -> list[str]:
    """Names and aliases spelt most alike, best first."""
    known = [row[0] for row in conn.execute("SELECT name FROM models UNION SELECT alias FROM aliases")]
    folded = {text.casefold(): text for text in known}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=limit, cutoff=0.5)
    inside = sorted((text for text in known if name.casefold() in text.casefold()), key=len) if name else []
    return list(dict.fromkeys([*(folded[text] for text in near), *inside]))[:limit]


def model_detail(conn: sqlite3.Connection, name: str) -> ModelDetail | None:
    """Everything that the note says of the one model that a name means; None where it means none or several."""
    with _one_view(conn):
        found = find_models(conn, name)
        if len(found) != 1:
            return None
        model = found[0]
        return ModelDetail(
            model,
            tuple(item for item in _items(conn) if model.name in item.models),
            _routes(conn, "finetune", model.id),
            _routes(conn, "export", model.id),
            tuple(
                row["text"]
                for row in conn.execute(
                    "SELECT text FROM papers JOIN mentions ON kind = 'paper' AND ref = papers.id WHERE model_id = ?"
                    " ORDER BY papers.id",
                    (model.id,),
                )
            ),
        )


def list_items(conn: sqlite3.Connection) -> tuple[Item, ...]:
    """The checklist in the order of the note."""
    with _one_view(conn):
        return _items(conn)


def history(conn: sqlite3.Connection, limit: int | None = 50) -> list[Change]:
    """The latest changes, newest first."""
    rows = conn.execute(
        "SELECT id, time, who, text, undone FROM history ORDER BY id DESC LIMIT ?", (-1 if limit is None else limit,)
    )
    return [Change(row["id"], row["time"], row["who"], row["text"], bool(row["undone"])) for row in rows]


@contextmanager
def _one_view(conn: sqlite3.Connection) -> Iterator[None]:
    """Several reads of one state of the database."""
    if conn.in_transaction:
        yield
        return
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.execute("COMMIT")


def _title(conn: sqlite3.Connection) -> str:
    row = conn.execute("SELECT value FROM front_matter WHERE key IN ('title', 'project') ORDER BY key DESC").fetchone()
    if row is None:
        row = conn.execute("SELECT name FROM notes WHERE is_current").fetchone()
    return str(row[0]).strip("\"'") if row else ""


_MODEL_COLUMNS = (
    "id, name, section_id, section, position, line, size, size_b, sizes_b, variants, vram, vram_gb, vrams_gb, status,"
    " notes, columns, absent"
)


def _models(conn: sqlite3.Connection, where: str = "", values: Sequence[object] = ()) -> list[tuple[int | None, Model]]:
    aliases: dict[str, list[str]] = defaultdict(list)
    for row in conn.execute("SELECT alias, model FROM aliases ORDER BY time, alias"):
        aliases[row["model"]].append(row["alias"])
    rows = conn.execute(f"SELECT {_MODEL_COLUMNS} FROM models {where} ORDER BY absent, position", values).fetchall()
    scores = _scores(conn, rows[0]["id"] if len(rows) == 1 else None)
    return [
        (row["section_id"], _model(row, tuple(scores.get(row["id"], ())), tuple(aliases.get(row["name"], ()))))
        for row in rows
    ]


def _scores(conn: sqlite3.Connection, model_id: int | None) -> dict[int, list[DocumentScore]]:
    scores: dict[int, list[DocumentScore]] = defaultdict(list)
    for row in conn.execute(
        "SELECT model_id, kind, metric, value, n, approximate, text FROM document_scores"
        " WHERE ?1 IS NULL OR model_id = ?1 ORDER BY id",
        (model_id,),
    ):
        scores[row["model_id"]].append(
            DocumentScore(row["kind"], row["metric"], row["value"], row["n"], bool(row["approximate"]), row["text"])
        )
    return scores


def _model(row: sqlite3.Row, scores: tuple[DocumentScore, ...], aliases: tuple[str, ...]) -> Model:
    return Model(
        id=row["id"],
        name=row["name"],
        section=row["section"],
        position=row["position"],
        size=row["size"],
        size_b=row["size_b"],
        vram=row["vram"],
        vram_gb=row["vram_gb"],
        status=row["status"],
        notes=row["notes"],
        columns_json=row["columns"],
        scores=scores,
        aliases=aliases,
        absent=bool(row["absent"]),
        sizes_b=tuple(json.loads(row["sizes_b"])),
        variants=tuple(json.loads(row["variants"])),
        vrams_gb=tuple(json.loads(row["vrams_gb"])),
        line=row["line"],
    )


def _by_names(conn: sqlite3.Connection, names: Sequence[str]) -> list[Model]:
    if not names:
        return []
    marks = ",".join("?" * len(names))
    return [model for _, model in _models(conn, f"WHERE name IN ({marks})", list(names))]


def _items(conn: sqlite3.Connection) -> tuple[Item, ...]:
    linked: dict[int, list[str]] = defaultdict(list)
    for row in conn.execute(
        "SELECT ref, name FROM mentions JOIN models ON models.id = model_id WHERE kind = 'item'"
        " ORDER BY models.position"
    ):
        linked[row["ref"]].append(row["name"])
    return tuple(
        Item(row["number"], row["title"], row["text"], bool(row["done"]), tuple(linked.get(row["number"], ())))
        for row in conn.execute(
            "SELECT number, title, text, done FROM items JOIN phases ON phases.id = phase_id ORDER BY items.position"
        )
    )


def _routes(conn: sqlite3.Connection, kind: str, model_id: int) -> tuple[dict[str, str], ...]:
    rows = conn.execute(
        f"SELECT kind, heading, columns, model FROM {kind}_rows AS route WHERE id IN"
        " (SELECT ref FROM mentions WHERE mentions.kind = ? AND model_id = ?) ORDER BY id",
        (kind, model_id),
    )
    return tuple(
        {"kind": row["kind"], "heading": row["heading"], **(json.loads(row["columns"]) or {"Model": row["model"]})}
        for row in rows
    )
