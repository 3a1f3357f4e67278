"""What the queries on fada.db return: frozen dataclasses, safe to hand to another thread."""

from __future__ import annotations

from dataclasses import dataclass, field

STATUS_LADDER = ("TODO", "Available", "Local tested", "Perf tested", "Proxy tested", "Tested", "Fine-tuned")


@dataclass(frozen=True)
class DocumentScore:
    """A score that the note states in prose, for instance ``81.1% GT (600 samples)``.

    ``value`` is on 0..1 (tok/s for ``perf``); ``metric`` is cosine for gt, keyword for proxy, tokens_per_s for perf.
    """

    kind: str
    metric: str
    value: float
    n: int | None
    approximate: bool
    text: str


@dataclass(frozen=True)
class Model:
    """One row of a model table. ``columns`` keeps every cell as the note has it, by column name."""

    id: int
    name: str
    section: str
    position: int
    size: str | None
    size_b: float | None
    """Billions of parameters, where the size is one number."""
    vram: str | None
    vram_gb: float | None
    status: str
    """One of :data:`STATUS_LADDER`, or the note's own words where they are none of them."""
    notes: str | None
    columns: dict[str, str]
    scores: tuple[DocumentScore, ...]
    aliases: tuple[str, ...]
    absent: bool
    """True where the current note no longer has it."""
    sizes_b: tuple[float, ...] = ()
    """Every number in the size, in billions: ``1-4.5B`` has two."""
    variants: tuple[str, ...] = ()
    """The sizes that the row stands for, as the note writes them: ``4B/12B`` has two."""
    vrams_gb: tuple[float, ...] = ()
    """Every number in the VRAM cell, in gigabytes: ``~10-16GB`` has two."""
    line: int = 0
    """Its line in the note, from 1."""

    @property
    def is_tested(self) -> bool:
        """Anything beyond TODO and Available."""
        return self.status not in ("TODO", "Available")


@dataclass(frozen=True)
class Section:
    title: str
    position: int
    models: tuple[Model, ...]


@dataclass(frozen=True)
class Item:
    """One numbered check box of the evaluation priority list."""

    number: int
    phase: str
    text: str
    done: bool
    models: tuple[str, ...]
    """Names of the tracked models it speaks of (none where that is ambiguous)."""


@dataclass(frozen=True)
class Change:
    """One entry of the history."""

    id: int
    time: float
    who: str
    text: str
    undone: bool


@dataclass(frozen=True)
class Tracker:
    """The whole note as the Tracker pane shows it."""

    title: str
    sections: tuple[Section, ...]
    items: tuple[Item, ...]

    @property
    def models(self) -> tuple[Model, ...]:
        return tuple(model for section in self.sections for model in section.models)


@dataclass(frozen=True)
class ModelDetail:
    """Everything that the note knows of one model; table rows are kept as dictionaries by column name."""

    model: Model
    items: tuple[Item, ...]
    finetune: tuple[dict[str, str], ...] = field(default=())
    mobile: tuple[dict[str, str], ...] = field(default=())
    papers: tuple[str, ...] = field(default=())
