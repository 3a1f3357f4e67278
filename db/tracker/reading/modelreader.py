"""One row of a model table as a model: what each column is for decides, wherever it stands."""

from __future__ import annotations

from collections.abc import Callable

from db.tracker.markdown.blocks import Row, Table, plain
from db.tracker.reading.document import FAMILY_COLUMNS, ModelRow, role_of
from db.tracker.reading.shapes import column_names
from db.tracker.reading.values import ladder_status, scores_in_prose
from db.tracker.rows import DocumentScore


class ModelReader:
    """Reads the rows of one model table; what each of its columns is for is found out once.

    Args:
        section: Index of the table's section in the document, ``index`` that of the table.
        warn: Takes a 0-based line and what is odd about it.
    """

    def __init__(self, table: Table, section: int, index: int, warn: Callable[[int, str], None]) -> None:
        self.table = table
        self.section = section
        self.index = index
        self.warn = warn
        self.names = tuple(column_names(table.header))
        roles = [role_of(name) for name in self.names]
        self.name_at = roles.index("model")
        self.size_at, self.vram_at, self.status_at, self.notes_at = (
            roles.index(role) if role in roles else None for role in ("size", "vram", "status", "notes")
        )
        folded = [name.strip("*_ ").casefold() for name in self.names]
        self.family_at = next((folded.index(name) for name in FAMILY_COLUMNS if name in folded), None)
        self.prose = [
            (at, name.casefold().startswith("score"), role == "notes")
            for at, (name, role) in enumerate(zip(self.names, roles, strict=True))
            if role not in ("model", "status", "size", "vram")
        ]

    def model(self, row: Row) -> ModelRow:
        """The model of a row; its name is empty where the row has none."""
        self._check_width(row, len(self.names))
        texts = row.texts
        name = plain(texts[self.name_at])
        size, vram, notes = (None if at is None else texts[at] for at in (self.size_at, self.vram_at, self.notes_at))
        words = "" if self.status_at is None else plain(texts[self.status_at])
        status = ladder_status(words) or words or "TODO"
        family = None if self.family_at is None else plain(texts[self.family_at]) or None
        scores: list[DocumentScore] = []
        for at, is_score, is_notes in self.prose:
            found, unclear = scores_in_prose(texts[at], status, is_score_column=is_score)
            scores += found
            for figure in unclear if is_notes or is_score else ():
                self.warn(row.line, f"{name}: what {figure!r} measures is not said: not taken as a score")
        return ModelRow(
            name,
            self.section,
            self.table,
            self.index,
            self.names,
            row,
            size,
            vram,
            status,
            notes,
            family,
            tuple(scores),
        )

    def _check_width(self, row: Row, width: int) -> None:
        if row.given < width:
            cells = f"{row.given} cell{'s' * (row.given != 1)}"
            self.warn(row.line, f"the row has {cells}, its table {width}: the last ones are taken as empty")
        elif row.given > width:
            self.warn(row.line, f"the row has {row.given} cells, its table {width}: what is beyond is not read")
        if row.texts and row.written is None:
            self.warn(row.line, "the cells of this row could not be located: it is read, and cannot be edited here")
