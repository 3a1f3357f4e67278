"""The leaderboard: runs ranked by kind of evaluation, floors in their place, and who is not ranked and why."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from backends.leaderboard.arrange import arrange
from backends.leaderboard.entries import KINDS, SORTS, Board, Candidates, Entry, Query, View
from backends.leaderboard.read import read_candidates
from db.connect import connect, counters
from db.runs.queries import get_run
from db.runs.rows import Run
from db.tracker.queries import load_tracker, refresh_tracker
from db.tracker.rows import Tracker
from fada_tui.leaderboard import opening
from fada_tui.leaderboard.cells import heading
from fada_tui.leaderboard.lines import board_rows, detail
from fada_tui.screens.live import LiveScreen
from fada_tui.widgets.line import Row, wrap
from fada_tui.widgets.lineview import LineView

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

_KEYS = (
    "tab kind · t metric · o of · a all runs · s sort · / filter · m mark · v compare · enter run · M model · "
    "i samples · w write · ? keys · esc back"
)
_DETAIL = 4
"""Lines below the list for the row under the cursor."""
_SHARE = 10.0
"""Reading may take one part in this many of the time while jobs add scores."""


class LeaderboardScreen(LiveScreen):
    """Args: ``panel``: the dashboard under it, on which runs and models are opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back"),
        Binding("tab,right", "kind(1)", "next kind"),
        Binding("shift+tab,left", "kind(-1)", "previous kind"),
        Binding("t", "metric", "metric"),
        Binding("o", "of", "question or category"),
        Binding("a", "all", "all runs"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter"),
        Binding("m", "mark", "mark"),
        Binding("v", "compare", "compare"),
        Binding("enter", "open", "run"),
        Binding("M", "model", "model"),
        Binding("i", "samples", "samples"),
        Binding("w", "write", "write"),
        Binding("y", "copy", "copy"),
    ]

    @dataclass
    class Opened(Message):
        """A run that is to be looked at, read from the index; None where it is gone."""

        number: int
        run: Run | None

    def __init__(self, panel: Dashboard, kind: str = "gt") -> None:
        super().__init__(panel.panel_app.home, "Leaderboard", _KEYS)
        self._panel = panel
        self.wanted = Query(kind)
        self.shown = View()
        self.board: Board | None = None
        self.marked: list[int] = []
        self._entries: Mapping[str, Entry] = {}
        self._tracker: Tracker | None = panel.tracker.tracker
        self._before: object = None
        self._cost = (0.0, 0.0)
        self._input = Input(id="filter", placeholder="only models whose name holds this; enter keeps it, esc clears it")
        self._detail = Static(id="board-detail")

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self._detail
        yield self._input

    def on_mount(self) -> None:
        # Textual calls that of each base itself: calling it here would have two threads watch.
        self._input.display = False
        self._detail.styles.height = _DETAIL
        self._detail.styles.padding = (0, 1)
        # The keys do not fit on one line of a narrow screen.
        self.keys.styles.width, self.keys.styles.height = "100%", "auto"

    # Data

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> object:
        """Only where scores, states or the note changed, and while jobs add scores not all the time."""
        self._tracker = refresh_tracker(tracker, self._tracker) if self._tracker else load_tracker(tracker)
        states = tuple(
            runs.execute("SELECT count(*), sum(archived), sum(state = 'done') FROM runs WHERE kind != 'run'").fetchone()
        )
        now = (self.wanted, counters(runs).get("scores", 0), states, self._tracker.revision)
        data = self.data
        if isinstance(data, Candidates) and data.query == self.wanted:
            ended, took = self._cost
            if now == self._before:
                return data
            if time.monotonic() < ended + _SHARE * took:
                self.read_later()
                return data
        began = time.monotonic()
        found = read_candidates(runs, self._tracker, self.wanted)
        self._before, self._cost = now, (time.monotonic(), time.monotonic() - began)
        return found

    def rows(self, data: Any, width: int) -> list[Row]:
        assert isinstance(data, Candidates)
        board = arrange(data, self.shown)
        self.board = board
        rows, self._entries = board_rows(board, width, self.marked)
        order = "" if self.shown.sort == "value" else f", by {self.shown.sort}"
        marks = f", {len(self.marked)} marked" if self.marked else ""
        which = "newest of each model" if self.shown.newest else "all runs"
        self.view.set_title(f"Leaderboard: {heading(board)}", f"{which}{order}{marks}")
        self.call_after_refresh(self._say)
        if not board:
            text = f"No {data.query.kind} scores here yet; e on a model in the tracker evaluates it, tab goes on."
            return [Row(((text, "dim"),))]
        return rows

    @property
    def entry(self) -> Entry | None:
        """The row under the cursor."""
        return self._entries.get(self.view.key or "")

    @on(LineView.Chosen)
    def _chosen(self) -> None:
        self._say()

    @on(LineView.Opened)
    def _clicked(self) -> None:
        self.action_open()

    def _say(self) -> None:
        width = max(20, self.size.width - 2)
        lines = [
            text
            for line in (detail(self.board, self.entry) if self.board else [])
            for text in wrap(line, width, limit=_DETAIL)
        ]
        if len(lines) > _DETAIL:
            lines = [*lines[: _DETAIL - 1], "… w writes all of it"]
        self._detail.update(Content("\n".join(lines)))

    # What is shown

    def _ask(self, query: Query) -> None:
        self.wanted = query
        self.read_again()

    def action_kind(self, step: int) -> None:
        self.marked.clear()
        self._ask(Query(KINDS[(KINDS.index(self.wanted.kind) + step) % len(KINDS)]))

    def action_metric(self) -> None:
        data = self.data
        if not isinstance(data, Candidates) or not data.metrics:
            return
        metrics = data.metrics

        def chosen(at: int | None) -> None:
            if at is not None:
                self._ask(replace(self.wanted, metric=metrics[at]))

        self._choose("Metric", metrics, metrics.index(data.metric) if data.metric in metrics else 0, chosen)

    def action_of(self) -> None:
        data = self.data
        if not isinstance(data, Candidates) or not data.ofs:
            return
        ofs = data.ofs

        def chosen(at: int | None) -> None:
            if at is not None:
                question, category = ofs[at]
                self._ask(Query(self.wanted.kind, None, question, category))

        words = [" · ".join(part for part in of if part) or "overall" for of in ofs]
        here = (self.wanted.question, self.wanted.category)
        self._choose("Question or category", words, ofs.index(here) if here in ofs else 0, chosen)

    def _choose(self, title: str, words: Any, at: int, chosen: Any) -> None:
        from fada_tui.screens.choose import ChooseScreen

        self.app.push_screen(ChooseScreen(title, words, at), chosen)

    def action_all(self) -> None:
        self.shown = replace(self.shown, newest=not self.shown.newest)
        self.draw()

    def action_sort(self) -> None:
        following = SORTS[(SORTS.index(self.shown.sort) + 1) % len(SORTS)]
        self.shown = replace(self.shown, sort=following)
        self.draw()

    # Filter

    def action_filter(self) -> None:
        self.keys.display = False
        self._input.display = True
        self._input.value = self.shown.text
        self.set_focus(self._input)

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        if self._input.display and event.value != self.shown.text:
            self.shown = replace(self.shown, text=event.value)
            self.draw()

    @on(Input.Submitted, "#filter")
    def _kept(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        self._input.display = False
        self.keys.display = True
        self.set_focus(self.view)

    def action_leave(self) -> None:
        """Out of the filter, then of the marks, then of the board."""
        if self._input.display or self.shown.text:
            self.shown = replace(self.shown, text="")
            self._close_filter()
            self.draw()
        elif self.marked:
            self.marked.clear()
            self.draw()
        else:
            self.dismiss()

    def on_key(self, event: events.Key) -> None:
        """While the filter is typed into, its keys are text; tab goes nowhere."""
        if self._input.has_focus and event.key in ("tab", "shift+tab"):
            event.stop()
            event.prevent_default()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self._input.has_focus:
            return action == "leave" or not hasattr(self, f"action_{action}")
        return True

    # Runs

    def action_mark(self) -> None:
        entry = self.entry
        if entry is None or entry.run is None:
            return
        if entry.run in self.marked:
            self.marked.remove(entry.run)
        else:
            self.marked.append(entry.run)
        self.draw()
        self.view.move(1)

    def action_compare(self) -> None:
        # The figures of a benchmark are no means over answers: a comparison takes its own.
        metric = self.board.metric if self.board and self.board.kind in ("gt", "proxy") else None
        opening.compare(self._panel, self.marked, metric)

    def action_open(self) -> None:
        """The run in the Run pane; of the note's score its model."""
        entry = self.entry
        if entry is None:
            return
        if entry.run is not None:
            self.dismiss()
            self._panel.pick(entry.run)
            self._panel.focus_pane("run")
        elif entry.role == "document":
            self.action_model()

    def action_model(self) -> None:
        entry = self.entry
        if entry is not None and entry.role in ("run", "document"):
            opening.model(self._panel, self._tracker, entry.name)

    def action_samples(self) -> None:
        if self.entry is not None and self.entry.run is not None:
            self._read_run(self.entry.run)

    @work(thread=True, exit_on_error=False)
    def _read_run(self, number: int) -> None:
        with closing(connect(self.home.runs_db, read_only=True)) as conn:
            self.post_message(self.Opened(number, get_run(conn, number)))

    @on(Opened)
    def _run_read(self, event: Opened) -> None:
        opening.samples(self._panel, self.home, event.number, event.run)

    # Out

    def action_copy(self) -> None:
        from fada_tui.leaderboard.files import write

        if self.board:
            self.app.copy_to_clipboard(write([self.board], "markdown"))
            opening.tell(self.app, "Copied", "the board as Markdown; w writes CSV, LaTeX or JSON to a file")

    def action_write(self) -> None:
        from fada_tui.leaderboard.writing import ask_and_write

        if self.board:
            ask_and_write(self._panel, self.board)
