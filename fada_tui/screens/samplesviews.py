"""The two lists of the Samples screen: all answers that are wanted, and the text of the one that is chosen."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.message import Message

from db.runs.samples import Brief, Sample
from fada_tui.screens.samplesrows import TOPIC, brief_line, sample_rows
from fada_tui.widgets.line import Row, Rows
from fada_tui.widgets.lineview import LineView

KEPT = 1_000
"""Rows that are kept as they were read."""
LINES = 200
"""Of each long text so many lines are folded at first, and as many more whenever their end comes near."""


class SampleRows(Rows):
    """One row a place; what is not read yet is an ellipsis. The places may grow, this list of them does not."""

    def __init__(
        self,
        places: array[int],
        briefs: Mapping[int, Brief],
        gone: frozenset[int],
        look: tuple[int, bool, str | None, int],
    ) -> None:
        super().__init__()
        self._places = places
        self._count = len(places)
        self._briefs = briefs
        self._gone = gone
        self._width, self._other, self._metric, self._topic = look

    def __len__(self) -> int:
        return self._count

    def row(self, index: int) -> Row:
        place = self._places[index]
        brief = self._briefs.get(place)
        if brief is None:
            said = " (answered again since)" if place in self._gone else " …"
            return Row(((said, "dim"),), str(place))
        return Row(
            brief_line(brief, self._width, other=self._other, metric=self._metric, topic=self._topic), str(place)
        )

    def key(self, index: int) -> str | None:
        return str(self._places[index])

    def find(self, key: str, near: int | None = None) -> int | None:
        place, places = int(key), self._places
        if near is not None and near < self._count and places[near] == place:
            return near
        at = bisect_left(places, place, 0, self._count)
        if at < self._count and places[at] == place:
            return at
        try:  # not in the order of the file
            return places.index(place, 0, self._count)
        except ValueError:
            return None


class SampleList(LineView):
    """Asks for the rows that are in sight and not read."""

    @dataclass
    class Missing(Message):
        """These rows are about to be looked at."""

        places: list[int]

    def __init__(self) -> None:
        super().__init__(id="samples-list")
        self.places: array[int] = array("q")
        self.other = False
        """Whether the other run's verdict has a column."""
        self.metric: str | None = None
        self.empty = "Reading …"
        self._briefs: dict[int, Brief] = {}
        self._gone: frozenset[int] = frozenset()
        self._asked: list[int] = []

    def build(self, width: int, height: int) -> Sequence[Row]:
        if not self.places:
            return [Row(((self.empty, "dim"),))]
        topic = max((cell_len(brief.topic) for brief in self._briefs.values()), default=2)
        look = (width, self.other, self.metric, min(TOPIC, topic))
        return SampleRows(self.places, dict(self._briefs), self._gone, look)

    def set_places(self, places: array[int]) -> None:
        """Another list; the cursor stays on its answer where that is in it."""
        self.places = places
        self.rebuild()
        self.look()

    def add_places(self, places: Iterable[int]) -> None:
        self.places.extend(places)
        self.rebuild()
        self.look()

    def take(self, briefs: Iterable[Brief], gone: frozenset[int]) -> None:
        """Rows that were asked for have come."""
        self._asked = []
        if len(self._briefs) > KEPT:
            self._briefs = {}
        self._briefs |= {brief.place: brief for brief in briefs}
        self._gone = (self._gone | gone) - self._briefs.keys()
        self.rebuild()
        self.look()

    def forget(self) -> None:
        """What was read may be out of date: it is shown until it was read again."""
        self._asked = list(self._near())
        if self._asked:
            self.post_message(self.Missing(self._asked))

    def forget_all(self) -> None:
        self._briefs = {}
        self._asked = []
        self.rebuild()
        self.look()

    @property
    def index(self) -> int:
        """Where the cursor stands, from 1; 0 for nowhere."""
        return 0 if self.cursor is None or not self.places else self.cursor + 1

    @property
    def place(self) -> int | None:
        return int(self.key) if self.key is not None else None

    def brief(self, place: int) -> Brief | None:
        return self._briefs.get(place)

    def look(self) -> None:
        missing = [place for place in self._near() if place not in self._briefs and place not in self._gone]
        if missing and missing != self._asked:
            self._asked = missing
            self.post_message(self.Missing(missing))

    def _near(self) -> array[int]:
        height = max(1, self.size.height)
        top = self.scroll_offset.y
        near = self.places[max(0, top - height) : top + 2 * height]
        if self.cursor is not None:  # it may be on its way into sight
            near += self.places[max(0, self.cursor - height) : self.cursor + height]
        return near

    def on_resize(self) -> None:
        super().on_resize()
        self.look()  # a taller list shows rows that nobody asked for

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        self.look()


class SampleText(LineView):
    """Question, answer and reference, folded as far as somebody looks."""

    def __init__(self) -> None:
        super().__init__(id="samples-text")
        self.sample: Sample | None = None
        self.names = ("", "")
        self.flat: tuple[str, ...] = ()
        """What the collapse alarms of the run say."""
        self._limit = LINES

    def build(self, width: int, height: int) -> Sequence[Row]:
        if self.sample is None:
            return []
        return sample_rows(self.sample, width, self._limit, self.names, self.flat)

    def warn(self, flat: tuple[str, ...]) -> None:
        if flat != self.flat:
            self.flat = flat
            self.rebuild()

    def show(self, sample: Sample | None) -> None:
        if sample == self.sample:
            return
        same = sample is not None and self.sample is not None and sample.place == self.sample.place
        self.sample = sample
        if not same:
            self._limit = LINES
        self.rebuild()
        if not same:
            self.scroll_to(y=0, animate=False, force=True)

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if new >= self.max_scroll_y - self.size.height and len(self.rows) >= self._limit:
            self._limit *= 4
            self.call_after_refresh(self.rebuild)
