"""The tables of three versions of a note: which is which, and what columns the merged one has."""

from __future__ import annotations

from typing import NamedTuple

from db.tracker.merging.align import Alignment
from db.tracker.merging.columns import Columns, Places, keep_dropped, merge_columns, value
from db.tracker.merging.lines import Row, Text
from db.tracker.merging.settle import Conflict, Settling, Side

OURS, THEIRS = 1, 2


class Place(NamedTuple):
    """Where a line stands in the base, in ours and in theirs; None where it is not."""

    base: int | None
    ours: int | None
    theirs: int | None


class Tables:
    """A table is named by the place of its header line."""

    def __init__(
        self, texts: tuple[Text, Text, Text], alignments: tuple[Alignment, Alignment], settling: Settling
    ) -> None:
        self.texts = texts
        self.base = texts[0]
        self.to_ours, self.to_theirs = alignments
        self.settling = settling
        self._columns: dict[Place, Columns] = {}

    def table_of(self, side: Side, header: int) -> Place:
        if side == "theirs":
            base = self.to_theirs.sources[header]
            return Place(base, None if base is None else self.to_ours.places[base], header)
        base = self.to_ours.sources[header]
        return Place(base, header, None if base is None else self.to_theirs.places[base])

    def labels(self, table: Place, version: int) -> list[str]:
        """A version that does not have the table is taken to have its columns."""
        header = table[version]
        if header is not None:
            return self.texts[version].labels(header)
        headers = [table.base, table.ours, table.theirs]
        return next(text.labels(at) for text, at in zip(self.texts, headers, strict=True) if at is not None)

    def columns(self, table: Place) -> Columns:
        """The merged table's columns; one that a side took out and the other wrote in is a conflict."""
        known = self._columns.get(table)
        if known is not None:
            return known
        base, ours, theirs = (self.labels(table, version) for version in range(3))
        columns = merge_columns(base, ours, theirs)
        for _, mine, other in columns.places:
            added = [at is not None and labels[at] not in base for at, labels in ((mine, ours), (other, theirs))]
            if None in (mine, other) and any(added):
                side: Side = "ours" if added[0] else "theirs"
                label = ours[mine] if mine is not None else theirs[other or 0]
                self.settling.words(side).append(f"column {label}: added")
        for dropped in columns.dropped:
            label = base[dropped[0] or 0]
            taker: Side = "ours" if dropped[OURS] is None else "theirs"
            if not self._is_written(table, dropped):
                self.settling.words(taker).append(f"column {label}: gone")
                continue
            texts = ("", label) if taker == "ours" else (label, "")
            conflict = Conflict((table.ours or 0) + 1, *texts, label, f"column {label}")
            if self.settling.settle(conflict) != taker:
                columns = keep_dropped(columns, dropped, base)
        self._columns[table] = columns
        return columns

    def _is_written(self, table: Place, dropped: Places) -> bool:
        """True where the side that kept a column changed something in it."""
        version = OURS if dropped[OURS] is not None else THEIRS
        side, header, alignment = self.texts[version], table[version], (self.to_ours, self.to_theirs)[version - 1]
        at = (header or 0) + 2
        while at < len(side.lines) and side.headers[at] == header:
            source = alignment.sources[at]
            was = None if source is None else _cell(self.base.row(source), dropped[0])
            if value(_cell(side.row(at), dropped[version])) != value(was):
                return True
            at += 1
        return False

    def by_label(self, version: int, at: int | None) -> dict[str, str]:
        if at is None:
            return {}
        text = self.texts[version]
        return dict(zip(text.labels(text.headers[at]), text.row(at).cells, strict=False))

    def cells(self, version: int, at: int | None, table: Place, columns: Columns) -> list[str | None]:
        """A version's cells under the merged columns, then those beyond its header."""
        if at is None:
            return [None] * len(columns.places)
        text = self.texts[version]
        row = text.row(at)
        if text.headers[at] != table[version]:
            named = self.by_label(version, at)
            return [named.get(label) for label in columns.labels]
        beyond = row.cells[len(text.labels(text.headers[at])) :]
        return [*(_cell(row, column[version]) for column in columns.places), *beyond]


def _cell(row: Row, column: int | None) -> str | None:
    return row.cells[column] if column is not None and column < len(row.cells) else None
