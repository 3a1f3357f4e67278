"""The short way from a patch to the tables: only the rows and boxes that it touched are read and written."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from db.connect import bump
from db.tracker.indexing.index import replace_line_warnings, update_model_row
from db.tracker.indexing.parts import Span, read_box, read_rows
from db.tracker.markdown.source import Patch, Source
from db.tracker.reading.document import ModelRow, Warning

Check = Callable[[Mapping[str, ModelRow]], bool]


@dataclass(frozen=True)
class Place:
    """Where the index says that a model's row stands. ``line`` is 0-based."""

    id: int
    name: str
    line: int
    span: Span


@dataclass(frozen=True)
class _Update:
    id: int
    model: ModelRow
    warnings: Sequence[Warning]


def patched(source: Source, patches: Sequence[Patch]) -> Source:
    """:meth:`Source.patched` without a pass over the whole text for each patch.

    Raises:
        ValueError: A patch does not find what it should replace.
    """
    if any("\n" in text or "\r" in text for patch in patches for text in (patch.before, patch.after)):
        return source.patched(patches)
    by_line: dict[int, list[Patch]] = defaultdict(list)
    for patch in patches:
        by_line[patch.line].append(patch)
    changed: dict[int, str] = {}
    for number, few in by_line.items():
        if number >= len(source.lines):
            raise ValueError(f"the note has no line {number + 1}")
        changed[number] = Source(source.lines[number], False).patched(_on_first_line(few)).text
    return Source(_with_lines(source, changed), source.has_bom)


def places_of(conn: sqlite3.Connection, names: Iterable[str]) -> list[Place]:
    """Where these models stand (exact names), those whose tables can be read in parts."""
    rows = conn.execute(
        "SELECT models.id, name, line, model_tables.section_id, header_line, last_line FROM models"
        " JOIN model_tables ON model_tables.id = table_id"
        " WHERE NOT absent AND NOT nested AND name IN (SELECT value FROM json_each(?))",
        (json.dumps(list(names)),),
    )
    return [_place(row) for row in rows]


def by_table(places: Iterable[Place]) -> dict[Span, list[Place]]:
    """The places, table by table."""
    tables: dict[Span, list[Place]] = defaultdict(list)
    for place in places:
        tables[place.span].append(place)
    return tables


def update_rows(
    conn: sqlite3.Connection,
    before: Source,
    after: Source,
    patches: Sequence[Patch],
    names: Iterable[str],
    check: Check,
) -> bool:
    """Bring the tables in step with patches on single rows and boxes, inside the caller's transaction.

    Args:
        names: The models whose rows may be among the patched lines (a look-up by line would read every model).
        check: What must be true of the models that were touched, by name.

    Returns:
        False where the patches may have done more than that, or ``check`` fails: then nothing was written.
    """
    if any("\n" in text or "\r" in text for patch in patches for text in (patch.before, patch.after)):
        return False
    lines = {patch.line for patch in patches}
    places = [place for place in places_of(conn, names) if place.line in lines]
    boxes = _boxes(conn, before, after, lines - {place.line for place in places})
    updates = _updates(before, after, places)
    if boxes is None or updates is None or not check({update.model.name: update.model for update in updates}):
        return False
    bump(conn, "tracker")
    revision = conn.execute("SELECT counter FROM changes WHERE topic = 'tracker'").fetchone()[0]
    for update in updates:
        update_model_row(conn, update.model, update.id, revision)
        replace_line_warnings(conn, update.model.line + 1, update.warnings)
    conn.executemany("UPDATE items SET done = ? WHERE number = ?", boxes)
    return True


def _with_lines(source: Source, changed: Mapping[int, str]) -> str:
    if "\r" not in source.text:
        # The common case, which need not know where each line starts.
        lines = list(source.lines)
        for number, line in changed.items():
            lines[number] = line
        return "\n".join(lines)
    pieces: list[str] = []
    done = 0
    for number in sorted(changed):
        start = source.starts[number]
        pieces += (source.text[done:start], changed[number])
        done = start + len(source.lines[number])
    return "".join([*pieces, source.text[done:]])


def _on_first_line(patches: Iterable[Patch]) -> list[Patch]:
    return [Patch(0, patch.column, patch.before, patch.after) for patch in patches]


def _place(row: sqlite3.Row) -> Place:
    span = Span(row["section_id"] - 1, row["header_line"], row["last_line"])
    return Place(row["id"], row["name"], row["line"] - 1, span)


def _updates(before: Source, after: Source, places: Iterable[Place]) -> list[_Update] | None:
    """The rows as they read now; None where one is no longer that model's row, or might be spoken of otherwise."""
    updates = []
    for span, touched in by_table(places).items():
        lines = [place.line for place in touched]
        was, now = read_rows(before, span, lines), read_rows(after, span, lines)
        if was is None or now is None:
            return None
        for place in touched:
            old, new = was.models.get(place.line), now.models.get(place.line)
            if old is None or new is None or old.row.given != new.row.given:
                return None
            # Lines elsewhere are tied to it by these.
            if not (old.name == new.name == place.name and old.size == new.size):
                return None
            updates.append(_Update(place.id, new, now.warnings.get(place.line, ())))
    return updates


def _boxes(
    conn: sqlite3.Connection, before: Source, after: Source, lines: Collection[int]
) -> list[tuple[bool, int]] | None:
    """For each line that is a check box, whether it is done now and its number; None where a line is none."""
    numbers = {
        row["line"] - 1: row["number"]
        for row in conn.execute(
            "SELECT number, line FROM items WHERE line IN (SELECT value + 1 FROM json_each(?))",
            (json.dumps(list(lines)),),
        )
    }
    boxes = []
    for line in lines:
        was, now = read_box(before.lines[line]), read_box(after.lines[line])
        if line not in numbers or was is None or now is None or was.text != now.text:
            return None
        boxes.append((now.done, numbers[line]))
    return boxes
