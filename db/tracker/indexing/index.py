"""The tables of fada.db from what a note says: rebuilt as a whole, but for the models, whose ids stay."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from db.connect import bump, counters
from db.tracker.indexing.modelindex import Difference as Difference
from db.tracker.indexing.modelindex import index_models, insert_scores
from db.tracker.indexing.modelindex import update_model_row as update_model_row
from db.tracker.indexing.modelrows import stored_tuple
from db.tracker.markdown.bulk import no_cycle_search
from db.tracker.reading.document import Document, Warning
from db.tracker.reading.links import Linker

_DERIVED = (
    "mentions",
    "document_scores",
    "items",
    "phases",
    "sections",
    "model_tables",
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
# One encoder for all rows: json.dumps with an option makes one a call.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def reindex(conn: sqlite3.Connection, document: Document) -> Difference:
    """Make the tables say what the note says, inside the caller's transaction.

    Raises the counters of ``tracker`` and ``tracker-structure``: the caller need not.
    """
    with no_cycle_search():
        return _reindex(conn, document)


def _reindex(conn: sqlite3.Connection, document: Document) -> Difference:
    bump(conn, "tracker", "tracker-structure")
    revision = counters(conn)["tracker"]
    for table in _DERIVED:
        conn.execute(f"DELETE FROM {table}")
    _sections(conn, document)
    difference = index_models(conn, document, revision)
    ids = {row["name"]: row["id"] for row in conn.execute("SELECT id, name FROM models")}
    insert_scores(conn, ((ids[model.name], model) for model in document.models if model.scores))
    _items(conn, document)
    _lists(conn, document)
    _routes(conn, document)
    _insert_warnings(conn, [(warning.line, warning.text, 0) for warning in document.warnings])
    _links(conn, ids)
    return difference


def relink(conn: sqlite3.Connection) -> None:
    """Tie lines to models anew after a change of names only, inside the caller's transaction.

    Raises the counters as :func:`reindex` does.
    """
    bump(conn, "tracker", "tracker-structure")
    conn.execute("DELETE FROM mentions")
    conn.execute("DELETE FROM import_warnings WHERE link")
    _links(conn, {row["name"]: row["id"] for row in conn.execute("SELECT id, name FROM models")})


def replace_line_warnings(conn: sqlite3.Connection, line: int, warnings: Sequence[Warning]) -> None:
    """Put these in the place of what was said of one table row; warnings of unclear links stay.

    Args:
        line: 1-based, as in the warnings.
    """
    conn.execute("DELETE FROM import_warnings WHERE line = ? AND NOT link", (line,))
    _insert_warnings(conn, [(line, warning.text, 0) for warning in warnings])


def _insert_warnings(conn: sqlite3.Connection, rows: Sequence[tuple[int, str, int]]) -> None:
    conn.executemany("INSERT INTO import_warnings(line, text, link) VALUES (?, ?, ?)", rows)


def _sections(conn: sqlite3.Connection, document: Document) -> None:
    conn.executemany(
        "INSERT INTO sections(id, title, path, depth, line) VALUES (?, ?, ?, ?, ?)",
        [
            (index, section.title, _encode(section.path), section.depth, section.line + 1)
            for index, section in enumerate(document.sections, start=1)
        ],
    )
    conn.executemany(
        "INSERT INTO model_tables(id, section_id, header_line, last_line, nested) VALUES (?, ?, ?, ?, ?)",
        [
            (index, place.section + 1, place.table.header.line, place.table.last_line, place.table.nested)
            for index, place in enumerate(document.tables, start=1)
        ],
    )
    conn.executemany(
        "INSERT INTO front_matter(position, key, value) VALUES (?, ?, ?)",
        [(index, key, value) for index, (key, value) in enumerate(document.front_matter, start=1)],
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
                (index, row.kind, row.heading, row.model, _encode(row.columns), row.line + 1)
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
        ((row["name"], stored_tuple(row["sizes_b"])) for row in conn.execute("SELECT name, sizes_b FROM models")),
        {row["alias"]: row["model"] for row in conn.execute("SELECT alias, model FROM aliases")},
        {row["name"] for row in conn.execute("SELECT name FROM models WHERE absent")},
    )


_LINKED = """
    SELECT 'item' AS kind, number AS ref, line, text FROM items
    UNION ALL SELECT 'paper', id, line, text FROM papers
    UNION ALL SELECT 'finetune', id, line, model FROM finetune_rows
    UNION ALL SELECT 'export', id, line, model FROM export_rows
    ORDER BY line"""


def _links(conn: sqlite3.Connection, ids: dict[str, int]) -> None:
    """Tie items, papers and table rows to models; a warning for each phrase that may mean several."""
    find = linker(conn).find
    mentions: list[tuple[str, int, int]] = []
    warnings: list[tuple[int, str, int]] = []
    for row in conn.execute(_LINKED):
        links = find(row["text"])
        mentions += [(row["kind"], row["ref"], ids[name]) for name in links.names]
        for phrase, candidates in links.unsure if row["kind"] != "paper" else ():
            meant = " or ".join(candidates) or "no tracked model"
            text = f"{phrase!r} may mean {meant}: not linked (`fada alias` settles it)"
            warnings.append((row["line"], text, 1))
    conn.executemany("INSERT INTO mentions(kind, ref, model_id) VALUES (?, ?, ?)", mentions)
    _insert_warnings(conn, warnings)
