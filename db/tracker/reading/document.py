"""What a tracker note says, read from its text: frozen, with 0-based lines and columns where edits can be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from db.tracker.markdown.blocks import Row, Table
from db.tracker.rows import DocumentScore


@dataclass(frozen=True)
class Warning:
    """``line`` is 1-based, as a person counts."""

    line: int
    text: str


@dataclass(frozen=True)
class SectionRow:
    """``path`` is the chain of headings above, outermost first."""

    title: str
    path: tuple[str, ...]
    depth: int
    line: int


@dataclass(frozen=True)
class ModelTable:
    """A table that models stand in, also one without rows. ``section`` is an index into the document's sections."""

    section: int
    table: Table


class ModelRow(NamedTuple):
    """One row of a model table: a tuple, of which a long note has 100,000.

    ``section`` and ``table_index`` are indexes into the document's sections and tables; ``names`` are the columns'
    names, in the order of the table, and ``row`` the cells.
    """

    name: str
    section: int
    table: Table
    table_index: int
    names: tuple[str, ...]
    row: Row
    size: str | None
    vram: str | None
    status: str
    notes: str | None
    family: str | None
    scores: tuple[DocumentScore, ...]

    @property
    def line(self) -> int:
        return self.row.line

    @property
    def columns(self) -> dict[str, str]:
        """The texts of the cells by column name."""
        return dict(zip(self.names, self.row.texts, strict=True))

    def column_name(self, role: str) -> str | None:
        """The table's own name of its ``status``, ``notes``, ``size``, ``vram`` or ``model`` column."""
        return next((name for name in self.names if role_of(name) == role), None)


@dataclass(frozen=True)
class PhaseRow:
    title: str
    line: int


@dataclass(frozen=True)
class ItemRow:
    """``mark`` is the column of the character between the brackets, or None where it could not be located."""

    number: int
    phase: int
    text: str
    done: bool
    line: int
    mark: int | None


@dataclass(frozen=True)
class PaperRow:
    list: str
    number: int | None
    title: str
    text: str
    line: int


@dataclass(frozen=True)
class TaskRow:
    number: int
    name: str
    abbreviation: str | None
    description: str | None
    line: int


@dataclass(frozen=True)
class BenchmarkRow:
    name: str
    heading: str
    description: str | None
    facts: tuple[tuple[str, str, int], ...]
    """Aspect, details, line."""
    tasks: tuple[TaskRow, ...]
    line: int


@dataclass(frozen=True)
class RouteRow:
    """A row of a fine-tuning table (verified, likely, other, cannot) or of an export table (candidate, native)."""

    kind: str
    heading: str
    model: str
    columns: dict[str, str]
    line: int
    table: Table | None = field(default=None, compare=False, repr=False)
    """Where it stands, with ``row``; None where it is in no table."""
    row: Row | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class PipelineRow:
    heading: str
    text: str
    line: int


@dataclass(frozen=True)
class SummaryCell:
    heading: str
    row: str
    column: str
    stated: str
    line: int


@dataclass(frozen=True)
class Document:
    """A whole note. ``models`` has each name once; what was left out is in ``warnings``."""

    front_matter: tuple[tuple[str, str], ...]
    sections: tuple[SectionRow, ...]
    tables: tuple[ModelTable, ...]
    models: tuple[ModelRow, ...]
    phases: tuple[PhaseRow, ...]
    items: tuple[ItemRow, ...]
    papers: tuple[PaperRow, ...]
    benchmarks: tuple[BenchmarkRow, ...]
    finetune: tuple[RouteRow, ...]
    exports: tuple[RouteRow, ...]
    pipelines: tuple[PipelineRow, ...]
    summary: tuple[SummaryCell, ...]
    warnings: tuple[Warning, ...]


_ROLES = {
    "model": "model",
    "model name": "model",
    "size": "size",
    "params": "size",
    "parameters": "size",
    "vram": "vram",
    "memory": "vram",
    "status": "status",
    "notes": "notes",
    "note": "notes",
    "comment": "notes",
    "comments": "notes",
}

# The first of these that a table has says whose the model is, or what it is for.
FAMILY_COLUMNS = ("family", "provider", "source", "focus")


def role_of(column: str) -> str | None:
    """What a column is for, from its heading; None for the columns that are only kept."""
    return _ROLES.get(column.strip("*_ ").casefold())
