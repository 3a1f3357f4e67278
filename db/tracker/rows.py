"""What the queries on fada.db return: frozen dataclasses, safe to hand to another thread."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

STATUS_LADDER = ("TODO", "Available", "Local tested", "Perf tested", "Proxy tested", "Tested", "Fine-tuned")
ABSENT_TITLE = "No longer in the note"
"""Of the section that holds the models which the note no longer has."""
_SPEAKS_OF_A_TEST = re.compile(r"\b(?:tested|evaluated|fine-?tuned)\b", re.IGNORECASE)
_DENIES_IT = re.compile(r"\b(?:not|never|no|to be|cannot)\b", re.IGNORECASE)


@lru_cache(maxsize=1024)
def is_tested(status: str) -> bool:
    """Beyond TODO and Available; of the note's own words those that speak of a test: `GT tested`, but not `Blocked`."""
    if status in STATUS_LADDER:
        return STATUS_LADDER.index(status) > 1
    return bool(_SPEAKS_OF_A_TEST.search(status)) and not _DENIES_IT.search(status)


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
    """One row of a model table."""

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
    columns_json: str
    """:attr:`columns` as stored: of 100,000 models few are ever looked at so closely."""
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
    family: str | None = None
    """Its Family, Provider, Source or Focus cell, the first that its table has."""

    @property
    def columns(self) -> dict[str, str]:
        """Every cell as the note has it, by column name."""
        return dict(json.loads(self.columns_json))

    @property
    def is_tested(self) -> bool:
        return is_tested(self.status)


@dataclass(frozen=True)
class Section:
    title: str
    position: int
    models: tuple[Model, ...]

    @property
    def is_absent(self) -> bool:
        """That of the models which the note no longer has: it stands last and is no place in the note."""
        return bool(self.models) and all(model.absent for model in self.models)


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
    """One entry of the history. ``models``: the names of those that it is about."""

    id: int
    time: float
    who: str
    text: str
    undone: bool
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What a finished run suggests for a tracked model: the next status, and its score as the note would say it.

    ``task`` is the evaluation's kind (gt, proxy, perf, …) or ``finetune``; ``words`` for instance
    ``81.1% GT (600 samples)``, None where the run made no score that a note could state.
    """

    model: str
    current: str
    status: str
    run: int
    task: str
    ended: float
    words: str | None = None
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tracker:
    """The whole note as the Tracker pane shows it."""

    title: str
    sections: tuple[Section, ...]
    items: tuple[Item, ...]
    revision: int = 0
    """The counter of topic ``tracker`` that this was read at."""
    structure: int = 0
    """The counter of topic ``tracker-structure``: while it stands, only single rows and boxes changed."""

    @cached_property
    def models(self) -> tuple[Model, ...]:
        return tuple(model for section in self.sections for model in section.models)

    @cached_property
    def by_name(self) -> dict[str, Model]:
        return {model.name: model for model in self.models}


@dataclass(frozen=True)
class ModelDetail:
    """Everything that the note knows of one model; table rows are kept as dictionaries by column name."""

    model: Model
    items: tuple[Item, ...]
    finetune: tuple[dict[str, str], ...] = field(default=())
    mobile: tuple[dict[str, str], ...] = field(default=())
    papers: tuple[str, ...] = field(default=())
