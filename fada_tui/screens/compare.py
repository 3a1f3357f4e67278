"""Runs beside each other: is the difference more than chance, where is it, and what else was different?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType

from db.home import Home
from fada_tui.format import count
from fada_tui.screens import comparerows as lines
from fada_tui.screens.compareparted import PartedScreen
from fada_tui.screens.full import FullView
from fada_tui.screens.live import LiveScreen
from fada_tui.sources.comparison import ComparisonSource, ComparisonView, Pair, Parting
from fada_tui.widgets.line import Row
from fada_tui.widgets.lineview import LineView

KEYS = "← → pair · m metric · s samples · d specs · r again · ? keys · esc back"


class CompareView(FullView):
    """The cursor marks the pair that the rest is about, so moving scrolls."""

    def move(self, steps: int) -> None:
        self.scroll_relative(y=steps, animate=False)

    def page(self, direction: int) -> None:
        self.move(direction * max(1, self.size.height - 1))

    def edge(self, direction: int) -> None:
        self.scroll_to(y=0 if direction < 0 else self.max_scroll_y, animate=False)

    def reveal(self) -> None:
        """The pair stays chosen out of sight."""


class CompareScreen(LiveScreen):
    """Two runs or more. Opening the same again is quick while none of them changed.

    Args:
        runs: Their numbers; the newest is compared with the older ones, so that a gain is positive.
        metric: What to show first; one that has no value of each answer is left out, with a word.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "pair(-1)", "previous pair"),
        Binding("right,l", "pair(1)", "next pair"),
        Binding("m", "metric", "next metric"),
        Binding("s,enter", "samples", "samples"),
        Binding("d", "specs", "whole specs"),
        Binding("r", "again", "again"),
    ]

    def __init__(self, home: Home, runs: Sequence[int], metric: str | None = None) -> None:
        ids = sorted(set(runs), reverse=True)
        super().__init__(home, "Compare " + " ".join(f"#{one}" for one in ids), KEYS)
        self._source = ComparisonSource(home, ids, metric)
        self._metric = metric
        self._pair = 0
        self._whole = False

    def make_view(self) -> FullView:
        return CompareView()

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> ComparisonView:
        return self._source.read(runs)

    # What is chosen

    @property
    def found(self) -> ComparisonView | None:
        return self.data if isinstance(self.data, ComparisonView) else None

    @property
    def metric(self) -> str | None:
        comparison = self.found.comparison if self.found else None
        if comparison is None:
            return None
        return self._metric if self._metric in comparison.metrics else comparison.metrics[0]

    def pairs(self) -> list[Pair]:
        comparison = self.found.comparison if self.found else None
        return [pair for pair in comparison.pairs if pair.metric == self.metric] if comparison else []

    def chosen(self) -> Pair | None:
        pairs = self.pairs()
        return pairs[min(self._pair, len(pairs) - 1)] if pairs else None

    def parting(self) -> Parting | None:
        comparison, pair = self.found.comparison if self.found else None, self.chosen()
        if comparison is None or pair is None:
            return None
        return next((one for one in comparison.partings if (one.a, one.b) == (pair.a, pair.b)), None)

    # Drawing

    def rows(self, data: Any, width: int) -> list[Row]:
        assert isinstance(data, ComparisonView)
        pair, comparison = self.chosen(), data.comparison
        self._say_what(data)
        rows = lines.warning_rows(data, pair, width)
        rows += [Row(())] if rows else []
        rows += lines.run_rows(data, width)
        if comparison is None or pair is None:
            rows += [Row(()), *lines.waiting_rows(data, width)]
            if len(data.ids) > 1:
                rows += lines.spec_rows(data, data.ids[0], data.ids[1], width, self._whole)
            return rows
        pairs = self.pairs()
        explored = [one for one in comparison.explored if (one.a, one.b, one.metric) == (pair.a, pair.b, pair.metric)]
        note = f"first less second · {count(pair.images, 'image')} · 95 % by image bootstrap"
        rows += lines.heading(f"Difference in {pair.metric}", note)
        rows += lines.pair_rows(pairs, pairs.index(pair), width)
        rows += lines.rank_rows(comparison, pair.metric)
        rows += lines.explored_rows(explored, width)
        rows += lines.parting_rows(self.parting(), width)
        return rows + lines.spec_rows(data, pair.a, pair.b, width, self._whole)

    def _say_what(self, data: ComparisonView) -> None:
        said = ""
        if data.comparison is not None:
            metrics = data.comparison.metrics
            of = f" ({metrics.index(self.metric or '') + 1} of {len(metrics)})" if len(metrics) > 1 else ""
            said = f"{self.metric}{of} · made by #{data.comparison.tool}"
        self.view.set_title(self._title_text, said)

    # Keys

    def action_pair(self, steps: int) -> None:
        if pairs := self.pairs():
            self._pair = (min(self._pair, len(pairs) - 1) + steps) % len(pairs)
            self.view.choose(f"pair:{self._pair}")
            self.draw()

    @on(LineView.Chosen)
    def _pair_clicked(self, event: LineView.Chosen) -> None:
        self._pair = int(event.key.removeprefix("pair:"))
        self.draw()

    @on(LineView.Opened)
    def _pair_opened(self) -> None:
        self.action_samples()

    def action_metric(self) -> None:
        if self.found is not None and self.found.comparison is not None and self.metric is not None:
            metrics = self.found.comparison.metrics
            self._metric = metrics[(metrics.index(self.metric) + 1) % len(metrics)]
            self.draw()

    def action_specs(self) -> None:
        self._whole = not self._whole
        self.draw()

    def action_again(self) -> None:
        self._source.again()
        self.read_again()

    def action_samples(self) -> None:
        if self.found is None or self.found.comparison is None:
            self.app.notify("they are known when the comparison is done", title="Samples", markup=False, timeout=3)
            return
        parting = self.parting()
        if parting is None or not parting.total:
            self.app.notify("there are none where they part", title="Samples", markup=False, timeout=3)
        elif self.metric is not None:
            self.app.push_screen(PartedScreen(self.home, parting, self.found.runs, self.metric))
