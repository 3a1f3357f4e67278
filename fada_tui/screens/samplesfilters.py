"""The keys of the Samples screen that move, and those that choose which answers, in what order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Label

from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from db.runs.rows import Run
from db.runs.samples import Wanted, group_sizes, runs_on_the_same
from fada_tui.screens.choose import ChooseScreen
from fada_tui.screens.failing import TellsFailures
from fada_tui.screens.samplesviews import SampleList, SampleText
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import what


class SampleFilters(TellsFailures, Screen[None]):
    """What they choose goes to :meth:`want`, which the screen itself has. Choices are read in threads."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down"),
        Binding("k,up", "move(-1)", "up"),
        Binding("right_square_bracket,n", "step(1)", "next sample"),
        Binding("left_square_bracket,p", "step(-1)", "previous sample"),
        Binding("pagedown,ctrl+d,space", "page(1)", "page down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up"),
        Binding("g,home", "edge(-1)", "top"),
        Binding("G,end", "edge(1)", "bottom"),
        Binding("tab,shift+tab", "other_list", "list or text"),
        Binding("slash", "ask", "find"),
        Binding("w", "worst", "worst first"),
        Binding("m", "metric", "by another metric"),
        Binding("x", "only('wrong')", "only wrong"),
        Binding("e", "only('failed')", "only failed"),
        Binding("d", "differ", "unlike another run"),
        Binding("t", "group('topic')", "topic"),
        Binding("c", "group('category')", "category"),
    ]

    home: Home
    run: Run
    wanted: Wanted
    metrics: tuple[str, ...]
    list: SampleList
    text: SampleText
    input: Input
    keys: Label
    other_label = ""
    """The model of the run that is compared with."""

    @dataclass
    class Groups(Message):
        column: str
        groups: list[tuple[str, int]]

    @dataclass
    class Others(Message):
        runs: list[Run]

    def want(self, wanted: Wanted) -> None:
        raise NotImplementedError

    # Moving

    @property
    def _focused_list(self) -> LineView:
        return self.text if self.text.has_focus else self.list

    def action_move(self, steps: int) -> None:
        self._focused_list.move(steps)

    def action_step(self, steps: int) -> None:
        self.list.move(steps)

    def action_page(self, direction: int) -> None:
        self._focused_list.page(direction)

    def action_edge(self, direction: int) -> None:
        self._focused_list.edge(direction)

    def action_other_list(self) -> None:
        self.set_focus(self.list if self.text.has_focus else self.text)

    # Order

    def action_worst(self) -> None:
        self.want(replace(self.wanted, worst=not self.wanted.worst, metric=None))

    def action_metric(self) -> None:
        """Worst first by the next of the run's metrics."""
        names = self.metrics
        if not names:
            self.app.notify("until then `w` puts the wrong ones first", title="Not scored yet", markup=False, timeout=4)
            return
        here = names.index(self.wanted.metric) if self.wanted.metric in names else 0
        chosen = names[(here + 1) % len(names)] if self.wanted.worst else names[0]
        self.want(replace(self.wanted, worst=True, metric=None if chosen == names[0] else chosen))

    # Filters

    def action_only(self, which: str) -> None:
        self.want(replace(self.wanted, only="all" if self.wanted.only == which else which))

    def action_ask(self) -> None:
        self.keys.display = False
        self.input.display = True
        self.input.value = self.wanted.text
        self.set_focus(self.input)

    @on(Input.Submitted)
    def _text_given(self, event: Input.Submitted) -> None:
        self.close_input()
        self.want(replace(self.wanted, text=event.value))

    def close_input(self) -> None:
        self.input.display = False
        self.keys.display = True
        self.set_focus(self.query_one("#samples-list"))

    def action_group(self, column: str) -> None:
        self._read_groups(column)

    @work(thread=True, exit_on_error=False)
    def _read_groups(self, column: str) -> None:
        with closing(connect(self.home.runs_db, read_only=True)) as conn:
            self.post_message(self.Groups(column, group_sizes(conn, self.run.id, column)))

    @on(Groups)
    def _groups(self, event: Groups) -> None:
        names = [None, *(name for name, _ in event.groups)]
        total = sum(count for _, count in event.groups)
        words = [f"every one  {total:,}", *(f"{name or '(none)'}  {count:,}" for name, count in event.groups)]

        def chosen(at: int | None) -> None:
            if at is not None:
                wanted = self.wanted
                topic, category = (names[at], wanted.category) if is_topic else (wanted.topic, names[at])
                self.want(replace(wanted, topic=topic, category=category))

        is_topic = event.column == "topic"
        present = self.wanted.topic if is_topic else self.wanted.category
        here = names.index(present) if present in names else 0
        self.app.push_screen(ChooseScreen("Question" if is_topic else "Category", words, here), chosen)

    # Another run

    def action_differ(self) -> None:
        """Beside another run: first all answers, once more only those where one is right and the other is not."""
        if self.wanted.other is None:
            self._read_others()
        else:
            self.want(replace(self.wanted, only="all" if self.wanted.only == "differ" else "differ"))

    @work(thread=True, exit_on_error=False)
    def _read_others(self) -> None:
        with closing(connect(self.home.runs_db, read_only=True)) as conn:
            found = [get_run(conn, number) for number in runs_on_the_same(conn, self.run.id)]
            self.post_message(self.Others([run for run in found if run is not None]))

    @on(Others)
    def _others(self, event: Others) -> None:
        if not event.runs:
            self.app.notify("no other run was asked these questions", title="Nothing to compare", markup=False)
            return
        words = [f"#{run.id} {run.label}  {what(run)}" for run in event.runs]

        def chosen(at: int | None) -> None:
            if at is not None:
                self.other_label = event.runs[at].label
                self.want(replace(self.wanted, other=event.runs[at].id, only="differ"))

        self.app.push_screen(ChooseScreen("Unlike which run?", words), chosen)
