"""The Tracker pane: sections of models, then the checklist by phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from textual import on, work
from textual.message import Message
from textual.reactive import reactive

from db.tracker.rows import ABSENT_TITLE, Item, Model, Proposal, Tracker
from fada_tui.listing.fuzzy import Query
from fada_tui.listing.listing import Arrangement, Shelves, Wanted, arrange
from fada_tui.listing.order import NOTE_ORDER, RUNS, SCORE, Known, Order, columns_offered, other_columns
from fada_tui.sources.views import RunList
from fada_tui.widgets.line import Row
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import names_of, score_rank
from fada_tui.widgets.trackerrows import Shown, TrackerRows, heading

DIRECT = 5_000
"""Up to this many models are arranged at once, more in a thread."""


class TrackerPane(LineView):
    """Keys of its rows: ``section:TITLE``, ``model:NAME``, ``phase:TITLE``, ``item:NUMBER``."""

    # Two states of 100,000 models are not compared model by model.
    tracker: reactive[Tracker | None] = reactive(None, repaint=False, always_update=True)
    runs: reactive[RunList] = reactive(RunList, repaint=False)
    proposals: reactive[Mapping[str, Proposal]] = reactive(dict, repaint=False)
    filter_text: reactive[str] = reactive("", repaint=False)
    order: reactive[Order] = reactive(NOTE_ORDER, repaint=False)
    marked: reactive[frozenset[str]] = reactive(frozenset(), repaint=False)
    """Keys of the models and items to be acted on at once."""

    @dataclass
    class Arranged(Message):
        """The rows have been arranged in a thread."""

        arrangement: Arrangement

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._folded = frozenset({f"section:{ABSENT_TITLE}"})
        self._folded_found: frozenset[str] = frozenset()
        self.arrangement: Arrangement | None = None
        self._arranging = False
        self._again = False
        self._columns: tuple[Tracker, tuple[str, ...]] | None = None
        self._marked_models: tuple[Model, ...] | None = None

    # What changed

    def watch_tracker(self, tracker: Tracker | None) -> None:
        self._marked_models = None
        if tracker is not None and self.marked:
            there = {f"item:{item.number}" for item in tracker.items}
            kept = (key for key in self.marked if key in there or self.model_at(key) is not None)
            self.marked = frozenset(kept)
        self._rearrange()

    def watch_runs(self) -> None:
        self.rebuild()
        if self.order.column in (SCORE, RUNS):
            self._rearrange()

    def watch_proposals(self) -> None:
        self.rebuild()

    def watch_marked(self) -> None:
        self._marked_models = None
        self.rebuild()

    def watch_filter_text(self) -> None:
        self._folded_found = frozenset()
        self._rearrange()

    def watch_order(self) -> None:
        self._rearrange()

    @property
    def folded(self) -> frozenset[str]:
        """Keys of the folded heads. A filter looks behind them: what it found is folded for as long as it stands."""
        return self._folded_found if self.filter_text else self._folded

    def _fold(self, keys: frozenset[str]) -> None:
        if self.filter_text:
            self._folded_found = keys
        else:
            self._folded = keys
        self._rearrange()

    def toggle(self, key: str) -> None:
        """Fold a section (or phase), or unfold it."""
        self._fold(self.folded ^ {key})

    def fold_all(self) -> None:
        """Fold every section and phase; where all are folded, unfold them."""
        if self.tracker is None:
            return
        sections = (f"section:{section.title}" for section in self.tracker.sections)
        every = frozenset((*sections, *(f"phase:{item.phase}" for item in self.tracker.items)))
        self._fold(frozenset() if every <= self.folded else every)

    def bring_out(self, model: Model) -> None:
        """Put the cursor on a model's row; a filter or a fold that hides it goes."""
        key = f"model:{model.name}"
        self.choose(key)
        if self.key != key:
            self.filter_text = ""
            self._fold(self._folded - {f"section:{model.section}"})
            self.choose(key)

    # Marks

    def toggle_mark(self, key: str) -> None:
        """Mark a row, or take its mark away. Of a head: all rows under it, or where all are marked, none of them."""
        keys = {key}
        if key.startswith(("section:", "phase:")):
            keys = set(self.arrangement.under(key)) if self.arrangement else set()
        self.marked = self.marked - keys if keys <= self.marked else self.marked | keys

    def clear_marks(self) -> None:
        self.marked = frozenset()

    @property
    def marked_models(self) -> tuple[Model, ...]:
        """In the order of the note."""
        # Asked for at every key, and a section with all its models may be marked.
        if self._marked_models is None:
            found = [model for model in map(self.model_at, self.marked) if model is not None]
            self._marked_models = tuple(sorted(found, key=lambda model: model.position))
        return self._marked_models

    @property
    def marked_items(self) -> tuple[Item, ...]:
        """In the order of the note."""
        if self.tracker is None or not self.marked:
            return ()
        return tuple(item for item in self.tracker.items if f"item:{item.number}" in self.marked)

    def item_models(self, item: Item | None) -> tuple[Model, ...]:
        """The models of the marked items, else of this one, as far as the note has them."""
        items = self.marked_items or ((item,) if item is not None else ())
        names = dict.fromkeys(name for one in items for name in one.models)
        return tuple(model for name in names if (model := self.model_at(f"model:{name}")) is not None)

    # What the keys stand for

    def model_at(self, key: str | None) -> Model | None:
        """The model of a row's key, while the note has it."""
        model = self._known_at(key)
        return None if model is None or model.absent else model

    def absent_at(self, key: str | None) -> Model | None:
        """The model of a row's key that the note no longer has."""
        model = self._known_at(key)
        return model if model is not None and model.absent else None

    def _known_at(self, key: str | None) -> Model | None:
        if self.tracker is None or not key or not key.startswith("model:"):
            return None
        return self.tracker.by_name.get(key.removeprefix("model:"))

    def item_at(self, key: str | None) -> Item | None:
        """The checklist item of a row's key."""
        if self.tracker is None or not key or not key.startswith("item:"):
            return None
        number = int(key.removeprefix("item:"))
        return next((item for item in self.tracker.items if item.number == number), None)

    def proposal_at(self, key: str | None) -> Proposal | None:
        """What a finished run suggests for the model of a row's key."""
        model = self.model_at(key)
        return None if model is None else self.proposals.get(model.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """What can be sorted by."""
        if self.tracker is None:
            return columns_offered(())
        if self._columns is None or self._columns[0].structure != self.tracker.structure:
            self._columns = self.tracker, columns_offered(other_columns(self.tracker.models))
        return self._columns[1]

    # Arranging

    def _rearrange(self) -> None:
        """Arrange the rows for what is wanted now: at once, or where they are many, in a thread, one at a time."""
        tracker = self.tracker
        if tracker is None:
            self.rebuild()
        elif self._arranging:
            self._again = True
        else:
            make = partial(_arranged, tracker, self.arrangement, self._wanted())
            if len(tracker.models) <= DIRECT or not self.is_attached:
                self._take(make())
            else:
                self._arranging = True
                self._arrange_apart(make)

    def _wanted(self) -> Wanted:
        return Wanted(Query(self.filter_text), self.order, self.folded, _known(self.runs))

    # Textual would describe the worker by all of its arguments, 100,000 models included.
    @work(thread=True, group="arrange", description="arrange")
    def _arrange_apart(self, make: Callable[[], Arrangement]) -> None:
        self.post_message(self.Arranged(make()))

    @on(Arranged)
    def _arranged_apart(self, event: Arranged) -> None:
        self._arranging = False
        self._take(event.arrangement)
        if self._again:
            self._again = False
            self._rearrange()

    def _take(self, arrangement: Arrangement) -> None:
        old, self.arrangement = self.arrangement, arrangement
        self.rebuild()
        asked = old is None or old.wanted.query != arrangement.wanted.query
        if asked and arrangement.best is not None and self.cursor is not None:
            self._go(arrangement.best, tell=True)

    # Drawing

    def rebuild(self) -> None:
        self._say_what()
        super().rebuild()

    def _say_what(self) -> None:
        parts = [f"/ {self.filter_text}" if self.filter_text else "", self.order.text]
        parts.append(f"{len(self.marked):,} marked" if self.marked else "")
        said = " · ".join(part for part in parts if part)
        title = heading("1 Tracker", self.scrollable_content_region.width)
        self.set_title(title, f"{said}  esc clears" if self.filter_text or self.marked else said)

    def first_row(self) -> int:
        """The first model, so that its keys work at once."""
        return next((index for index in range(len(self.rows)) if self.model_at(self.rows.key(index))), 0)

    def build(self, width: int, height: int) -> Sequence[Row]:
        if self.arrangement is None:
            return [Row((("Reading the tracker …", "dim"),))]
        if not self.arrangement.entries:
            said = "Nothing matches; esc clears the filter." if self.filter_text else "The tracker holds no models."
            hint = "" if self.filter_text else "Import a note: fada import FILE.md"
            return [Row(((said, "dim"),)), Row(((hint, "dim"),))]
        return TrackerRows(self.arrangement, Shown(self.runs, self.proposals, self.marked), width)


def _arranged(tracker: Tracker, old: Arrangement | None, wanted: Wanted) -> Arrangement:
    return arrange(Shelves.of(tracker, old.shelves if old else None), wanted)


def _known(runs: RunList) -> Known:
    """What scores and runs say of a model; looked up only where they are sorted by."""
    shown = Shown(runs)
    newest: dict[str, int] = {}
    for run in runs.runs:
        newest[run.model.casefold()] = max(run.id, newest.get(run.model.casefold(), 0))

    def newest_run(model: Model) -> int | None:
        return max((newest[name] for name in names_of(model) if name in newest), default=None)

    return Known(lambda model: score_rank(shown.best(model)), newest_run)
