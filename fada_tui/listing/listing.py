"""What the Tracker pane shows: which sections, models and items, in what order. Pure; the pane draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeAlias

from db.tracker.rows import ABSENT_TITLE, Item, Model, Section, Tracker
from fada_tui.listing.fuzzy import Query, fold, item_text, model_text
from fada_tui.listing.order import NOTE_ORDER, Known, Order, sort_models


@dataclass(frozen=True)
class Head:
    """The head of a section (``of`` is ``section``) or of a phase of the checklist (``phase``).

    ``done`` of ``total`` counts all that belongs to it, whatever the filter leaves; ``done`` is None of the models
    that the note no longer has, of which nothing is to do.
    """

    of: str
    title: str
    done: int | None
    total: int
    is_folded: bool

    @property
    def key(self) -> str:
        return f"{self.of}:{self.title}"


Entry: TypeAlias = Head | Model | Item


def key_of(entry: Entry) -> str:
    """``section:TITLE``, ``model:NAME``, ``phase:TITLE`` or ``item:NUMBER``."""
    if isinstance(entry, Model):
        return f"model:{entry.name}"
    return f"item:{entry.number}" if isinstance(entry, Item) else entry.key


@dataclass(frozen=True, eq=False)
class Shelf:
    """A section made ready: how many of its models were tested, and what the filter looks through once it is used."""

    section: Section
    tested: int
    _texts: list[str] = field(default_factory=list)

    @property
    def models(self) -> tuple[Model, ...]:
        return self.section.models

    @property
    def texts(self) -> list[str]:
        """The folded text of each model; made at the first look."""
        if not self._texts:
            # At one stroke: another thread may be doing the same.
            self._texts[:] = [model_text(model) for model in self.models]
        return self._texts

    @classmethod
    def of(cls, section: Section) -> Shelf:
        return cls(section, _tested(section.models))

    def renewed(self, section: Section) -> Shelf:
        """The shelf of the same section after single rows of it were edited: only they are read again."""
        if len(section.models) != len(self.models):
            return Shelf.of(section)
        texts = list(self._texts)
        if texts:
            for index, (old, new) in enumerate(zip(self.models, section.models, strict=True)):
                if old is not new:
                    texts[index] = model_text(new)
        return Shelf(section, _tested(section.models), texts)


@dataclass(frozen=True, eq=False)
class Shelves:
    """All sections of one state of the tracker."""

    tracker: Tracker
    shelves: tuple[Shelf, ...]

    @classmethod
    def of(cls, tracker: Tracker, old: Shelves | None = None) -> Shelves:
        """Takes over what ``old`` has for sections that are the same still."""
        before: Sequence[Shelf | None] = old.shelves if old and old.tracker.structure == tracker.structure else ()
        if len(before) != len(tracker.sections):
            before = (None,) * len(tracker.sections)
        return cls(tracker, tuple(map(_shelf, tracker.sections, before)))


@dataclass(frozen=True)
class Wanted:
    """What decides the rows, but for the tracker itself.

    Args:
        folded: Keys of the heads whose rows are hidden.
        known: For the orders that need more than the model's row.
    """

    query: Query = field(default_factory=Query)
    order: Order = NOTE_ORDER
    folded: Set[str] = frozenset()
    known: Known | None = None


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The rows from top to bottom, and where the best match of the filter is."""

    shelves: Shelves
    wanted: Wanted
    entries: Sequence[Entry]
    best: int | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def key(self, index: int) -> str:
        return key_of(self.entries[index])

    def find(self, key: str, near: int | None = None) -> int | None:
        """Where a row is, looking first where it probably still is; a row that is folded away: where its head is."""
        if near is not None and near < len(self.entries) and self.key(near) == key:
            return near
        found = self._place(_is(key))
        if found is not None:
            return found
        head = self._head_of(key)
        return None if head is None else self._place(_is(head))

    def under(self, key: str) -> list[str]:
        """The keys of the rows of a section or phase that the filter leaves, folded away or not, and can be marked."""
        kind, _, title = key.partition(":")
        query = self.wanted.query
        if kind == "section":
            return [
                f"model:{model.name}"
                for shelf in self.shelves.shelves
                if shelf.section.title == title and not shelf.section.is_absent
                for model in _matching(shelf, query)
            ]
        items = self.shelves.tracker.items
        return [f"item:{item.number}" for item in items if item.phase == title and query.matches(item_text(item))]

    def _place(self, is_it: Callable[[Entry], bool]) -> int | None:
        return next((index for index, entry in enumerate(self.entries) if is_it(entry)), None)

    def _head_of(self, key: str) -> str | None:
        kind, _, rest = key.partition(":")
        tracker = self.shelves.tracker
        if kind == "model" and (model := tracker.by_name.get(rest)):
            return f"section:{ABSENT_TITLE if model.absent else model.section}"
        if kind == "item":
            return next((f"phase:{item.phase}" for item in tracker.items if str(item.number) == rest), None)
        return None


def arrange(shelves: Shelves, wanted: Wanted) -> Arrangement:
    """The rows for what is wanted. 100,000 models take some tens of milliseconds, sorted by text a second."""
    entries: list[Entry] = []
    if wanted.order.flat:
        standing = (shelf for shelf in shelves.shelves if not shelf.section.is_absent)
        every = [model for shelf in standing for model in _matching(shelf, wanted.query)]
        entries += sort_models(every, wanted.order, wanted.known)
    else:
        for shelf in shelves.shelves:
            entries += _section(shelf, wanted)
    entries += _items(shelves.tracker.items, wanted)
    return Arrangement(shelves, wanted, entries, _best(entries, wanted.query))


def _shelf(section: Section, old: Shelf | None) -> Shelf:
    if old is None:
        return Shelf.of(section)
    return old if old.section is section else old.renewed(section)


def _tested(models: Iterable[Model]) -> int:
    return sum(model.is_tested for model in models)


def _matching(shelf: Shelf, query: Query) -> Sequence[Model]:
    return [shelf.models[index] for index in query.matching(shelf.texts)] if query else shelf.models


def _section(shelf: Shelf, wanted: Wanted) -> Iterator[Entry]:
    shown = _matching(shelf, wanted.query)
    if not shown:
        return
    folded = f"section:{shelf.section.title}" in wanted.folded
    done = None if shelf.section.is_absent else shelf.tested
    yield Head("section", shelf.section.title, done, len(shelf.models), folded)
    if not folded:
        yield from sort_models(shown, wanted.order, wanted.known)


def _items(items: Iterable[Item], wanted: Wanted) -> Iterator[Entry]:
    phases: dict[str, list[Item]] = {}
    for item in items:
        phases.setdefault(item.phase, []).append(item)
    for phase, every in phases.items():
        shown = [item for item in every if wanted.query.matches(item_text(item))] if wanted.query else every
        if not shown:
            continue
        folded = f"phase:{phase}" in wanted.folded
        yield Head("phase", phase, sum(item.done for item in every), len(every), folded)
        if not folded:
            yield from shown


def _best(entries: Sequence[Entry], query: Query) -> int | None:
    """The row whose name fits best, of several the shortest, then the first."""
    if not query:
        return None
    best: tuple[int, int] | None = None
    place = None
    for index, entry in enumerate(entries):
        if isinstance(entry, Head):
            continue
        name = entry.name if isinstance(entry, Model) else entry.text
        rank = query.rank(fold(name)), len(name)
        if best is None or rank < best:
            best, place = rank, index
    return place


def _is(key: str) -> Callable[[Entry], bool]:
    """Whether a row has this key, without making the key of each."""
    kind, _, rest = key.partition(":")
    if kind == "model":
        return lambda entry: type(entry) is Model and entry.name == rest
    if kind == "item":
        return lambda entry: type(entry) is Item and str(entry.number) == rest
    return lambda entry: type(entry) is Head and entry.title == rest and entry.of == kind
