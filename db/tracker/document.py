"""What a tracker note says, read from its text: frozen, with 0-based lines and columns where edits can be made."""

from __future__ import annotations

from dataclasses import dataclass

from db.tracker.blocks import Cell, Table
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
class ModelRow:
    """One row of a model table. ``columns`` and ``cells`` are by column name, in the order of the table."""

    name: str
    section: int
    table: Table
    line: int
    columns: dict[str, str]
    cells: dict[str, Cell]
    size: str | None
    vram: str | None
    status: str
    notes: str | None
    scores: tuple[DocumentScore, ...]

    def column_name(self, role: str) -> str | None:
        """The table's own name of its ``status``, ``notes``, ``size``, ``vram`` or ``model`` column."""
        return next((name for name in self.columns if role_of(name) == role), None)


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


def role_of(column: str) -> str | None:
    """What a column is for, from its heading; None for the columns that are only kept."""
    return _ROLES.get(column.strip("*_ ").casefold())
