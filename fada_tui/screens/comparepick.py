"""Which runs to compare one with: those that share questions with it."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType

from db.home import Home
from db.runs.rows import Run
from fada_tui.format import measured, percent
from fada_tui.screens.compare import CompareScreen
from fada_tui.screens.live import LiveScreen
from fada_tui.sources.partners import Partner, partners
from fada_tui.widgets.line import Line, Row, left, right, spread
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import tag_text, what

_KEYS = "j k move · m mark several · enter compare · esc back"


class PickScreen(LiveScreen):
    """`enter` compares with the marked runs, or with the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m,space", "mark", "mark"),
        Binding("enter,v", "compare", "compare"),
    ]

    def __init__(self, home: Home, run: Run) -> None:
        super().__init__(home, f"Compare #{run.id} {what(run)} {run.label} with", _KEYS)
        self._run = run
        self._marked: list[int] = []

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> tuple[Partner, ...]:
        return partners(runs, self.home, self._run)

    def rows(self, data: Any, width: int) -> list[Row]:
        there = {one.run.id for one in data}
        self._marked = [one for one in self._marked if one in there]
        self.view.set_title(self._title_text, f"{len(self._marked)} marked" if self._marked else "")
        if not data:
            said = f"No other evaluation has answered any of the questions of #{self._run.id}."
            return [Row(((said, "dim"),)), Row((("e queues one on the same data.", "dim"),))]
        rows, same = [], None
        for one in data:
            if one.same_data != same:
                same = one.same_data
                rows.append(Row((("on the same data" if same else "shares questions", "dim"),)))
            rows.append(Row(partner_line(one, one.run.id in self._marked, width), f"run:{one.run.id}"))
        return rows

    @property
    def chosen(self) -> int | None:
        key = self.view.key
        return None if key is None else int(key.removeprefix("run:"))

    def action_mark(self) -> None:
        if self.chosen is not None:
            if self.chosen in self._marked:
                self._marked.remove(self.chosen)
            else:
                self._marked.append(self.chosen)
            self.draw()
            self.view.move(1)

    @on(LineView.Opened)
    def _opened(self) -> None:
        self.action_compare()

    def action_compare(self) -> None:
        others = self._marked or ([self.chosen] if self.chosen is not None else [])
        if others:
            self.app.switch_screen(CompareScreen(self.home, [self._run.id, *others]))


def partner_line(one: Partner, marked: bool, width: int) -> Line:
    """Mark, number, kind, model; to the right score, share of the questions and date."""
    run = one.run
    sign = "◉ " if marked else "  "
    figure = ""
    if one.score is not None:
        figure = f"{one.score.metric} {'⚠ ' if one.score.alarms else ''}{measured(one.score.metric, one.score.value)}"
    shared = "" if one.same_data else f" {percent(one.share)} shared"
    day = time.strftime("%d %b %H:%M", time.localtime(run.ended or run.created))
    state = "" if run.state == "done" else f" {run.state}"
    tags = f" {tag_text(run)}" if run.tags else ""
    begin: Line = (
        (sign, "key"),
        (left(f"#{run.id}", 6), "title"),
        (left(what(run), 12), "dim"),
        (f"{run.label}{state}", ""),
        (tags, "accent"),
    )
    flat = one.score is not None and bool(one.score.alarms)
    end: Line = ((right(figure, 16), "alarm" if flat else ""), (f"{shared}  {day}", "dim"))
    return spread(begin, end, width)
