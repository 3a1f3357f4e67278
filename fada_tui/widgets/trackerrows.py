"""The rows of the Tracker pane, each drawn when it is looked at: of 100,000 some forty are in sight."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rich.cells import cell_len

from db.tracker.rows import Item
from fada_tui.format import count
from fada_tui.listing.fuzzy import Query
from fada_tui.listing.listing import Arrangement, Entry, Head, key_of
from fada_tui.sources.views import RunList
from fada_tui.text import printable
from fada_tui.widgets.line import ELLIPSIS, Line, Row, Rows, cut, left, right, spread
from fada_tui.widgets.status import (
    Best,
    best_score,
    live_line,
    proposal_text,
    ranked,
    scores_by_model,
    scores_of,
    status_span,
)

if TYPE_CHECKING:
    from db.runs.rows import Score
    from db.tracker.rows import Model, Proposal

_SIZE, _VRAM, _STATUS, _SCORE, _SOURCE = 5, 5, 7, 7, 11
_NOTES_FROM = 84
_VRAM_FROM = 44
_SIZE_FROM = 38
_KIND_FROM = 58
_TUNED_FROM = 48
_KEPT = 1000
"""Rows that are made are kept until there are this many."""


@dataclass(frozen=True)
class Shown:
    """What a row shows beside what the note says."""

    runs: RunList = field(default_factory=RunList)
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    marked: Set[str] = frozenset()

    @cached_property
    def grouped(self) -> dict[str, list[Score]]:
        return scores_by_model(self.runs.scores)

    @cached_property
    def tuned(self) -> int:
        """Cells that the marks of tuned models' scores need."""
        return max((cell_len(f"←#{one.from_run}") for one in ranked(self.runs.scores) if one.from_run), default=0)

    def best(self, model: Model) -> Best | None:
        return best_score(model, scores_of(model, self.grouped))


@dataclass(frozen=True)
class _Cells:
    """Cells that each column of a model's row takes, behind the two of the mark; none where it is left out."""

    name: int
    size: int
    vram: int
    tail: int
    notes: int

    @classmethod
    def of(cls, width: int, marks: int) -> _Cells:
        wide = 3 if width >= _NOTES_FROM else 1 if width >= _KIND_FROM else 0
        size = _SIZE + wide if width >= _SIZE_FROM else 0
        vram = _VRAM + wide if width >= _VRAM_FROM else 0
        tail = _STATUS + _score_width(width, marks)
        rest = width - sum(cells + 1 for cells in (size, vram) if cells) - tail - 3
        name = min(48, max(20, rest // 2)) if width >= _NOTES_FROM else rest
        return cls(name, size, vram, tail, rest - name)

    def facts(self, size: str, vram: str) -> str:
        return "".join(f" {right(text, cells)}" for text, cells in ((size, self.size), (vram, self.vram)) if cells)


def heading(title: str, width: int) -> str:
    """The pane's title, with the names of the columns over them where there is room: for a border that begins there."""
    if width < _NOTES_FROM:
        return title
    cells = _Cells.of(width, 0)
    text = (
        f"{left(title, cells.name)}{cells.facts('size', 'VRAM')} {left('status', _STATUS)}{left('score', cells.tail)}"
    )
    return re.sub(r"(?<= ) +(?= )", lambda gap: "─" * len(gap[0]), text).rstrip(" ─")


class TrackerRows(Rows):
    """The rows of an arrangement in ``width`` cells."""

    def __init__(self, arrangement: Arrangement, shown: Shown, width: int) -> None:
        super().__init__()
        self.arrangement = arrangement
        self._shown = shown
        self._width = width
        self._made: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self.arrangement)

    def key(self, index: int) -> str:
        return self.arrangement.key(index)

    def find(self, key: str, near: int | None = None) -> int | None:
        return self.arrangement.find(key, near)

    def row(self, index: int) -> Row:
        made = self._made.get(index)
        if made is None:
            entry = self.arrangement.entries[index]
            if len(self._made) >= _KEPT:
                self._made.clear()
            made = self._made[index] = Row(self._line(entry), key_of(entry))
        return made

    def _line(self, entry: Entry) -> Line:
        if isinstance(entry, Head):
            return self._head(entry)
        sign = ("• ", "accent") if key_of(entry) in self._shown.marked else ("  ", "")
        if isinstance(entry, Item):
            return (sign, *_item(entry, self._width))
        line = (sign, *self._model(entry))
        return tuple((text, "dim") for text, _ in line) if entry.absent else line

    def _head(self, head: Head) -> Line:
        waiting = self._waiting.get(head.title, 0) if head.of == "section" else 0
        said = f"{count(waiting, 'proposal') if self._width >= _TUNED_FROM else f'{waiting} →'}  " if waiting else ""
        marked = self._marked_under.get(head.key, 0) if head.is_folded and self._shown.marked else 0
        counts = f"{head.total:,}" if head.done is None else f"{head.done:,}/{head.total:,}"
        figures: Line = ((said, "running"), (counts, "dim"))
        if marked:
            figures = ((f"{marked:,} •  ", "accent"), *figures)
        return spread(((f"{'▸' if head.is_folded else '▾'} {head.title}", "title"),), figures, self._width)

    @cached_property
    def _marked_under(self) -> dict[str, int]:
        """Marked rows by the key of their head."""
        tracker = self.arrangement.shelves.tracker
        phases = {str(item.number): item.phase for item in tracker.items}
        counts: dict[str, int] = {}
        for key in self._shown.marked:
            kind, _, rest = key.partition(":")
            model = tracker.by_name.get(rest) if kind == "model" else None
            head = f"phase:{phases.get(rest)}" if model is None else f"section:{model.section}"
            counts[head] = counts.get(head, 0) + 1
        return counts

    @cached_property
    def _waiting(self) -> dict[str, int]:
        """Proposals by section."""
        counts: dict[str, int] = {}
        by_name = self.arrangement.shelves.tracker.by_name
        for name in self._shown.proposals:
            if name in by_name:
                counts[by_name[name].section] = counts.get(by_name[name].section, 0) + 1
        return counts

    @cached_property
    def _cells(self) -> _Cells:
        return _Cells.of(self._width, self._shown.tuned)

    def _model(self, model: Model) -> Line:
        cells = self._cells
        facts = cells.facts(_known(model.size), _known(model.vram).replace("~", "").replace("GB", "G"))
        name = _name(model.name, cells.name, self.arrangement.wanted.query)
        notes = self._notes(model, cells.notes) if cells.notes else ()
        return (*name, (facts, "dim"), (" ", ""), *self._tail(model, cells.tail), *notes)

    def _tail(self, model: Model, columns: int) -> Line:
        """What goes on, else the status and the best score; in a narrow pane what is proposed takes their place."""
        run = self._shown.runs.live_of(model)
        if run:
            return spread((), live_line(run), columns)
        proposal = self._shown.proposals.get(model.name)
        # The alarm before the number, which may be cut.
        alarm = "⚠" if proposal and proposal.alarms else ""
        proposed = f"→ {status_span(proposal.status)[0]} {alarm}#{proposal.run}" if proposal else ""
        if proposed and self._width < _KIND_FROM:
            return ((left(proposed, columns), "running"),)
        word, token = status_span(model.status)
        scores = _score_spans(self._shown.best(model), self._width, self._shown.tuned)
        if proposed and self._width < _NOTES_FROM:
            # In place of where the score comes from; a wider pane says it before the notes.
            scores = (*scores[:-1], (left(proposed.replace("→ ", "→"), _SOURCE + self._shown.tuned), "running"))
        return ((left(word, _STATUS), token), *scores)

    def _notes(self, model: Model, room: int) -> Line:
        proposal = self._shown.proposals.get(model.name)
        said = cut(f"  {proposal_text(proposal)}", room) if proposal else ""
        return ((said, "running"), (left(f"  {model.notes or ''}", room - cell_len(said)), "dim"))


def _name(name: str, width: int, query: Query) -> Line:
    """The name in exactly ``width`` cells, what the filter found of it in the accent colour."""
    text = left(name, width)
    if not query:
        return ((text, ""),)
    kept = len(text.rstrip().removesuffix(ELLIPSIS))
    found = set(query.positions(printable(name)))
    spans: list[tuple[str, str]] = []
    for at, letter in enumerate(text):
        token = "key" if at < kept and at in found else ""
        if spans and spans[-1][1] == token:
            spans[-1] = (spans[-1][0] + letter, token)
        else:
            spans.append((letter, token))
    return tuple(spans)


def _known(text: str | None) -> str:
    return text if text and text != "-" else "–"


def _score_width(width: int, marks: int) -> int:
    if width >= _KIND_FROM:
        return _SCORE + _SOURCE + marks
    return _SCORE + (marks if width >= _TUNED_FROM else 0)


def _score_spans(best: Best | None, width: int, marks: int) -> Line:
    """The value, its marks, and in a wide pane its kind and where it comes from.

    What a fine-tune made is marked with its number, or where there is no room for that with the arrow alone.
    """
    if best is None:
        return ((" " * _SCORE, ""), (" " * (_score_width(width, marks) - _SCORE), ""))
    token = "alarm" if best.alarm else "dim" if best.approximate else ""
    value = best.text if best.metric != "tokens_per_s" else best.text.removesuffix(" t/s")
    if width < _TUNED_FROM:
        signs = f"{best.mark or ' '}{best.tuned[:1]}" if best.tuned else f" {best.mark or ' '}"
        return ((f"{right(value, 5)}{signs}", token),)
    spans: Line = ((f"{right(value, 5)} {best.mark or ' '}", token),)
    if width < _KIND_FROM:
        return (*spans, (left(best.tuned, marks), "dim")) if marks else spans
    kind = "t/s" if best.metric == "tokens_per_s" else best.kind
    return (*spans, (left(f" {kind} {best.source}{best.tuned}", _SOURCE + marks), "dim"))


def _item(item: Item, width: int) -> Line:
    box, token = ("[x]", "good") if item.done else ("[ ]", "")
    return ((box, token), (left(f" {item.number:>2} {item.text}", width - 5), "dim" if item.done else ""))
