"""The tables of fada.db from what a note says: rebuilt as a whole, but for the models, whose ids stay."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from db.tracker.document import Document, ModelRow, Warning
from db.tracker.links import Linker
from db.tracker.values import parse_memory, parse_size

_DERIVED = (
    "mentions",
    "document_scores",
    "items",
    "phases",
    "sections",
    "front_matter",
    "papers",
    "benchmark_facts",
    "benchmark_tasks",
    "benchmarks",
    "finetune_rows",
    "export_rows",
    "pipelines",
    "summary_cells",
    "import_warnings",
)


@dataclass
class Difference:
    """What a note changed in the models: names, and for the changed ones in words what."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


def reindex(conn: sqlite3.Connection, document: Document) -> Difference:
    """Make the tables say what the note says, inside the caller's transaction."""
    for table in _DERIVED:
        conn.execute(f"DELETE FROM {table}")
    _sections(conn, document)
    difference = _models(conn, document)
    ids = {row["name"]: row["id"] for row in conn.execute("SELECT id, name FROM models")}
    _scores(conn, document, ids)
    _items(conn, document)
    _lists(conn, document)
    _routes(conn, document)
    warnings = [*document.warnings, *_links(conn, document, ids)]
    conn.executemany(
        "INSERT INTO import_warnings(line, text) VALUES (?, ?)",
        [(warning.line, warning.text) for warning in sorted(warnings, key=lambda warning: warning.line)],
    )
    return difference


def _sections(conn: sqlite3.Connection, document: Document) -> None:
    conn.executemany(
        "INSERT INTO sections(id, title, path, depth, line) VALUES (?, ?, ?, ?, ?)",
        [
            (index, section.title, json.dumps(section.path, ensure_ascii=False), section.depth, section.line + 1)
            for index, section in enumerate(document.sections, start=1)
        ],
    )
    conn.executemany(
        "INSERT INTO front_matter(position, key, value) VALUES (?, ?, ?)",
        [(index, key, value) for index, (key, value) in enumerate(document.front_matter, start=1)],
    )


_SET = (
    "section_id = ?, section = ?, position = ?, line = ?, size = ?, size_b = ?, sizes_b = ?, variants = ?, "
    "vram = ?, vram_gb = ?, vrams_gb = ?, status = ?, notes = ?, columns = ?, absent = 0"
)


def _models(conn: sqlite3.Connection, document: Document) -> Difference:
    known = {row["name"]: row for row in conn.execute("SELECT name, section, columns, absent FROM models")}
    difference = Difference()
    for position, model in enumerate(document.models, start=1):
        title = document.sections[model.section].title
        values = _model_values(model, title, position)
        old = known.pop(model.name, None)
        if old is None:
            difference.added.append(model.name)
            conn.execute(
                "INSERT INTO models(section_id, section, position, line, size, size_b, sizes_b, variants, vram,"
                " vram_gb, vrams_gb, status, notes, columns, name) VALUES (" + ",".join("?" * 15) + ")",
                (*values, model.name),
            )
            continue
        conn.execute(f"UPDATE models SET {_SET} WHERE name = ?", (*values, model.name))
        words = _changes(old, model, title)
        if words:
            difference.changed.append(model.name)
            difference.details += [f"{model.name}: {word}" for word in words]
    difference.absent += [name for name, row in known.items() if not row["absent"]]
    conn.executemany(
        "UPDATE models SET absent = 1, section_id = NULL WHERE name = ?", [(name,) for name in difference.absent]
    )
    return difference


def _model_values(model: ModelRow, section: str, position: int) -> tuple[object, ...]:
    size = parse_size(model.size or "")
    vram = parse_memory(model.vram or "")
    return (
        model.section + 1,
        section,
        position,
        model.line + 1,
        model.size,
        size.value,
        json.dumps(size.values),
        json.dumps(size.variants),
        model.vram,
        vram.value,
        json.dumps(vram.values),
        model.status,
        model.notes,
        json.dumps(model.columns, ensure_ascii=False),
    )


def _changes(old: sqlite3.Row, model: ModelRow, section: str) -> list[str]:
    before: dict[str, str] = json.loads(old["columns"])
    words = ["back in the note"] if old["absent"] else []
    if old["section"] != section:
        words.append(f"moved from {old['section']} to {section}")
    for column in dict.fromkeys([*before, *model.columns]):
        was, now = before.get(column, ""), model.columns.get(column, "")
        if was != now:
            words.append(f"{column}: {was or '(empty)'} → {now or '(empty)'}")
    return words


def _scores(conn: sqlite3.Connection, document: Document, ids: dict[str, int]) -> None:
    conn.executemany(
        "INSERT INTO document_scores(model_id, kind, metric, value, n, approximate, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (ids[model.name], score.kind, score.metric, score.value, score.n, score.approximate, score.text)
            for model in document.models
            for score in model.scores
        ],
    )


def _items(conn: sqlite3.Connection, document: Document) -> None:
    conn.executemany(
        "INSERT INTO phases(id, title, line) VALUES (?, ?, ?)",
        [(index, phase.title, phase.line + 1) for index, phase in enumerate(document.phases, start=1)],
    )
    conn.executemany(
        "INSERT INTO items(number, phase_id, text, done, line, position) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (item.number, item.phase + 1, item.text, item.done, item.line + 1, position)
            for position, item in enumerate(document.items, start=1)
        ],
    )


def _lists(conn: sqlite3.Connection, document: Document) -> None:
    conn.executemany(
        "INSERT INTO papers(id, list, number, title, text, line) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (index, paper.list, paper.number, paper.title, paper.text, paper.line + 1)
            for index, paper in enumerate(document.papers, start=1)
        ],
    )
    for index, row in enumerate(document.benchmarks, start=1):
        conn.execute(
            "INSERT INTO benchmarks(id, name, heading, description, line) VALUES (?, ?, ?, ?, ?)",
            (index, row.name, row.heading, row.description, row.line + 1),
        )
        conn.executemany(
            "INSERT INTO benchmark_facts(benchmark_id, aspect, details, line) VALUES (?, ?, ?, ?)",
            [(index, aspect, details, line + 1) for aspect, details, line in row.facts],
        )
        conn.executemany(
            "INSERT INTO benchmark_tasks(benchmark_id, number, name, abbreviation, description, line)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(index, t.number, t.name, t.abbreviation, t.description, t.line + 1) for t in row.tasks],
        )


def _routes(conn: sqlite3.Connection, document: Document) -> None:
    for table, rows in (("finetune_rows", document.finetune), ("export_rows", document.exports)):
        conn.executemany(
            f"INSERT INTO {table}(id, kind, heading, model, columns, line) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (index, row.kind, row.heading, row.model, json.dumps(row.columns, ensure_ascii=False), row.line + 1)
                for index, row in enumerate(rows, start=1)
            ],
        )
    conn.executemany(
        "INSERT INTO pipelines(heading, text, line) VALUES (?, ?, ?)",
        [(pipeline.heading, pipeline.text, pipeline.line + 1) for pipeline in document.pipelines],
    )
    conn.executemany(
        'INSERT INTO summary_cells(heading, row, "column", stated, line) VALUES (?, ?, ?, ?, ?)',
        [(cell.heading, cell.row, cell.column, cell.stated, cell.line + 1) for cell in document.summary],
    )


def linker(conn: sqlite3.Connection) -> Linker:
    """A linker over the models and aliases as they are stored now."""
    return Linker(
        ((row["name"], tuple(json.loads(row["sizes_b"]))) for row in conn.execute("SELECT name, sizes_b FROM models")),
        {row["alias"]: row["model"] for row in conn.execute("SELECT alias, model FROM aliases")},
    )


def _links(conn: sqlite3.Connection, document: Document, ids: dict[str, int]) -> list[Warning]:
    """Tie items, papers and table rows to models; a warning for each phrase that may mean several."""
    find = linker(conn).find
    texts: list[tuple[str, int, int, str]] = [("item", item.number, item.line, item.text) for item in document.items]
    texts += _numbered("paper", ((row.line, row.text) for row in document.papers))
    texts += _numbered("finetune", ((row.line, row.model) for row in document.finetune))
    texts += _numbered("export", ((row.line, row.model) for row in document.exports))
    mentions: list[tuple[str, int, int]] = []
    warnings: list[Warning] = []
    for kind, ref, line, text in texts:
        links = find(text)
        mentions += [(kind, ref, ids[name]) for name in links.names]
        for phrase, candidates in links.unsure if kind != "paper" else ():
            meant = " or ".join(candidates) or "no tracked model"
            warnings.append(Warning(line + 1, f"{phrase!r} may mean {meant}: not linked (`fada alias` settles it)"))
    conn.executemany("INSERT INTO mentions(kind, ref, model_id) VALUES (?, ?, ?)", mentions)
    return warnings


def _numbered(kind: str, rows: Iterable[tuple[int, str]]) -> list[tuple[str, int, int, str]]:
    return [(kind, index, line, text) for index, (line, text) in enumerate(rows, start=1)]
