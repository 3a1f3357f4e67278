"""Any note goes in and comes out the same, and any edits say the same after export and import."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.connect import immediate
from db.tracker import edits, queries
from db.tracker.editing.current import current_note
from db.tracker.edits import CellChange
from db.tracker.errors import EditError, NoteError
from db.tracker.export import export_note
from db.tracker.history import Entry, record
from db.tracker.importer import default_note, import_note
from db.tracker.indexing.index import reindex
from db.tracker.indexing.parts import Span, read_rows
from db.tracker.markdown.blocks import read_blocks
from db.tracker.markdown.source import Source
from db.tracker.reading.recognise import read_document
from db.tracker.rows import STATUS_LADDER, Tracker

RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WORDS = st.text(
    alphabet=st.one_of(
        st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cs"]),
        st.sampled_from("|\\*_`[]<>#-~ 0123456789%/."),
    ),
    max_size=30,
)
CELLS = st.one_of(
    WORDS.map(lambda text: text.replace("|", "\\|")),
    st.sampled_from(["~16GB", "<1GB", "1-4.5B", "4B/12B", "MoE", "-", "81.1% GT (600 samples)", "~75% proxy", "[x]"]),
)
COLUMNS = ["Family", "Size", "VRAM", "Status", "Notes", "Score", "Format", "Odd | one".replace("|", "\\|")]


@st.composite
def tables(draw, first: int) -> list[str]:
    names = ["Model", *draw(st.lists(st.sampled_from(COLUMNS), unique=True, max_size=5))]
    order = draw(st.permutations(range(len(names))))
    count = draw(st.integers(1, 4))
    closed = draw(st.booleans())

    margin = draw(st.sampled_from(["", "", "", "", " ", "> ", "\\t"]))

    def line(cells: list[str], given: int = 99) -> str:
        inside = " | ".join([cells[index] for index in order][:given])
        return margin + (f"| {inside} |" if closed or len(cells) == 1 else inside)

    rows = []
    for index in range(first, first + count):
        bold = "**" if draw(st.booleans()) else ""
        # Now and then a name comes again, and a row is short.
        number = draw(st.sampled_from([index, index, index, first]))
        given = draw(st.sampled_from([99, 99, 99, len(names) - 1, 1]))
        rows.append(line([f"{bold}M-{number}B{bold}", *(draw(CELLS) for _ in names[1:])], given))
    delimiters = [draw(st.sampled_from(["---", "---", "---:", ":-:"])) for _ in names]
    return [line(names), line(delimiters), *rows]


@st.composite
def notes(draw) -> bytes:
    lines = ["---", "project: p", "---"] if draw(st.booleans()) else []
    first = 1
    for _ in range(draw(st.integers(1, 3))):
        lines += ["", "#" * draw(st.integers(1, 6)) + " Section " + draw(WORDS), "", *draw(tables(first))]
        first += 4
    lines += ["", "## Phase 1", ""]
    lines += [f"{number}. [{draw(st.sampled_from(' xX'))}] M-{number}B {draw(WORDS)}" for number in range(1, 4)]
    lines += [draw(WORDS) for _ in range(draw(st.integers(0, 3)))]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(lines) + (end if draw(st.booleans()) else "")
    return (b"\xef\xbb\xbf" if draw(st.booleans()) else b"") + text.encode()


def _state(conn: sqlite3.Connection) -> Tracker:
    """The tracker without what a fresh database numbers or counts anew."""
    tracker = queries.load_tracker(conn)
    sections = tuple(
        replace(section, models=tuple(replace(model, id=0) for model in section.models)) for section in tracker.sections
    )
    return replace(tracker, sections=sections, revision=0, structure=0)


@RELAXED
@given(data=notes())
def test_an_untouched_import_exports_as_itself(make_db, data):
    conn = make_db()
    try:
        import_note(conn, data, "n.md", "test")
    except NoteError as error:
        assert error.message.startswith("no model table")
        return
    assert export_note(conn) == data


@RELAXED
@given(text=st.text(alphabet=st.sampled_from("|-: \n\r\t>#*`\\[]x1.ab\ufeff\0"), max_size=200))
def test_any_text_is_read_without_an_exception(text):
    source = Source.decode(text.encode(), "n.md")
    read_blocks(source)
    assert source.encode() == text.encode()


@RELAXED
@given(data=notes(), margin=st.integers(0, 3))
def test_a_row_by_itself_reads_as_in_the_whole_note(data, margin):
    source = Source.decode(data, "n.md")
    document = read_document(source)
    for model in document.models:
        if model.table.nested:
            continue
        span = Span(model.section, model.table.line, model.table.last_line)
        lines = [row.line for row in model.table.rows if abs(row.line - model.line) <= margin]
        part = read_rows(source, span, lines)
        assert part is not None
        read = part.models[model.line]
        assert read._replace(table=model.table, table_index=model.table_index) == model
        said = [warning for warning in document.warnings if warning.line == model.line + 1]
        assert part.warnings.get(model.line, []) == said


NAMES = st.one_of(WORDS, st.sampled_from(["New-7B", "M-1B", "the first", "NEW 7b", "*a* _b_", "a|b", "\\\\", "# x"]))
SEVERAL = st.lists(st.integers(0, 99), min_size=1, max_size=4)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("items"), st.lists(st.integers(1, 14), min_size=1, max_size=4), st.booleans()),
        st.tuples(st.just("status"), SEVERAL, st.sampled_from(STATUS_LADDER)),
        st.tuples(st.just("note"), SEVERAL, WORDS),
        st.tuples(st.just("both"), st.integers(0, 99), st.sampled_from(STATUS_LADDER), WORDS),
        st.tuples(st.just("add"), NAMES, st.integers(0, 9), WORDS, WORDS),
        st.tuples(st.just("alias"), st.integers(0, 99), NAMES),
        st.tuples(st.just("no alias"), NAMES),
        st.tuples(st.just("dismiss")),
        st.tuples(st.just("undo")),
        st.tuples(st.just("undo")),
        st.tuples(st.just("redo")),
    ),
    min_size=1,
    max_size=8,
)


def _names(conn: sqlite3.Connection, indexes: Sequence[int]) -> list[str]:
    names = [row["name"] for row in conn.execute("SELECT name FROM models WHERE NOT absent ORDER BY position")]
    return [names[index % len(names)] for index in indexes]


def _cells(conn: sqlite3.Connection, names: Sequence[str], column: str) -> set[str]:
    return {conn.execute(f"SELECT {column} FROM models WHERE name = ?", (name,)).fetchone()[0] or "" for name in names}


def _edit(conn: sqlite3.Connection, edit: tuple) -> None:
    before = list(conn.iterdump())
    try:
        match edit:
            case ("items", numbers, done):
                edits.set_items(conn, numbers, done)
                assert all(queries.list_items(conn)[number - 1].done == done for number in numbers if number < 4)
            case ("status", indexes, status):
                edits.set_statuses(conn, names := _names(conn, indexes), status)
                assert _cells(conn, names, "status") == {status}
            case ("note", indexes, text):
                edits.set_notes(conn, names := _names(conn, indexes), text)
                assert _cells(conn, names, "notes") == {text.strip()}
            case ("both", index, status, text):
                [name] = _names(conn, [index])
                edits.edit_cells(conn, [CellChange(name, "notes", text), CellChange(name, "status", status)], "test")
                assert _cells(conn, [name], "status") | _cells(conn, [name], "notes") == {status, text.strip()}
            case ("add", name, index, text, other):
                titles = [row["title"] for row in conn.execute("SELECT title FROM sections")]
                title = titles[index % len(titles)]
                columns = edits.table_columns(conn, title)
                given = dict(zip(columns, (text, other), strict=False))
                edits.add_model(conn, name, title, given)
                assert _cells(conn, [name.strip()], "section") == {title}
            case ("alias", index, alias):
                edits.add_alias(conn, *_names(conn, [index]), alias)
            case ("no alias", alias):
                edits.remove_alias(conn, alias)
            case ("dismiss",):
                with immediate(conn):
                    record(conn, Entry("dismiss", "test", "dismissed", {}, ("M-1B",), "dismiss"))
            case ("undo",):
                edits.undo(conn)
            case ("redo",):
                edits.redo(conn)
    except EditError as error:
        # Odd rows and texts may be refused, with words; never half done.
        assert error.message
        assert list(conn.iterdump()) == before


def _derived(conn: sqlite3.Connection) -> dict[str, list[str]]:
    """Every table that is an index of the note, without row ids and counters that say nothing of it."""
    tables = [
        row["name"]
        for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        if row["name"] not in ("changes", "notes", "history", "aliases", "synced", "written")
    ]
    own = {"document_scores": {"id"}, "import_warnings": {"id"}, "models": {"revision"}}
    return {
        table: sorted(
            repr({key: row[key] for key in row.keys() if key not in own.get(table, ())})  # noqa: SIM118
            for row in conn.execute(f"SELECT * FROM {table}")
        )
        for table in tables
    }


@RELAXED
@given(data=st.one_of(notes(), st.just(default_note())), sequence=EDITS)
def test_after_any_edits_the_tables_are_what_reading_the_whole_note_gives(make_db, data, sequence):
    with closing(make_db()) as conn, closing(make_db()) as other:
        try:
            import_note(conn, data, "n.md", "test")
        except NoteError:
            return
        for edit in sequence:
            _edit(conn, edit)
            conn.backup(other)
            reindex(other, current_note(other).document)
            assert _derived(conn) == _derived(other)


@RELAXED
@given(data=st.one_of(notes(), st.just(default_note())), sequence=EDITS)
def test_any_edits_then_export_then_import_give_the_same_state(make_db, data, sequence):
    with closing(make_db()) as conn, closing(make_db()) as other:
        try:
            import_note(conn, data, "n.md", "test")
        except NoteError:
            return
        for edit in sequence:
            _edit(conn, edit)
        # Aliases are no part of a note.
        other.executemany("INSERT INTO aliases VALUES (?, ?, ?, ?)", conn.execute("SELECT * FROM aliases").fetchall())
        import_note(other, export_note(conn), "n.md", "test")
        assert _state(other) == _state(conn)
        steps = 0
        while edits.undo(conn):
            steps += 1
        assert export_note(conn) == data
        for _ in range(steps):
            edits.redo(conn)
        assert _state(other) == _state(conn)
