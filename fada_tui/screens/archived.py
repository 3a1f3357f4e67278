"""Runs that were put away: to be looked at, brought back or deleted."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType

from db.runs.queries import archived_runs, scores
from db.runs.rows import Run, Score
from fada_tui.commands import steering
from fada_tui.format import count, measured
from fada_tui.screens.live import LiveScreen
from fada_tui.widgets.line import Line, Row, clip, left, line_width, spread
from fada_tui.widgets.status import headline_score, named, state_span, tag_text, what

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

SHOWN = 1000
_KEYS = "X bring back · d delete · l log · i samples · y copy · ? keys · esc back"
_NONE = ("Nothing is put away.", "X in the Queue puts a finished run away: out of the lists, with nothing lost.")


class ArchivedScreen(LiveScreen):
    """Newest first. The keys are those of the Queue pane; X takes back what it did there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("X", "bring_back", "bring back"),
        ("d", "delete", "delete"),
        ("l", "log", "log"),
        ("i", "samples", "samples"),
    ]

    def __init__(self, panel: Dashboard) -> None:
        super().__init__(panel.panel_app.home, "Archived runs", _KEYS)
        self._panel = panel

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> object:
        number, found = archived_runs(runs, SHOWN)
        shown = {run.id for run in found}
        return number, tuple(found), tuple(one for one in scores(runs, overall_only=True) if one.run in shown)

    def rows(self, data: Any, width: int) -> list[Row]:
        number, runs, found = data
        self.view.set_title("Archived runs", count(number, "run"))
        if not runs:
            return [Row(((text, "dim"),)) for text in _NONE]
        by_run: dict[int, list[Score]] = {}
        for one in found:
            by_run.setdefault(one.run, []).append(one)
        rows = [_row(run, by_run.get(run.id, []), width) for run in runs]
        if number > len(runs):
            rows.append(
                Row(((f"and {number - len(runs):,} older ones: `fada jobs --archived` lists them all", "dim"),))
            )
        return rows

    @property
    def chosen(self) -> Run | None:
        """The run under the cursor."""
        key = self.view.key
        runs = self.data[1] if self.data is not None else ()
        return next((run for run in runs if f"run:{run.id}" == key), None)

    def action_bring_back(self) -> None:
        if self.chosen is not None:
            steering.bring_back(self._panel, self.chosen)

    def action_delete(self) -> None:
        if self.chosen is not None:
            steering.delete_run(self._panel, self.chosen)

    def action_log(self) -> None:
        from fada_tui.screens.log import LogScreen

        if self.chosen is not None:
            self.app.push_screen(LogScreen(self.chosen))

    def action_samples(self) -> None:
        from fada_tui.screens.samples import SamplesScreen

        if self.chosen is not None:
            self.app.push_screen(SamplesScreen(self.home, self.chosen))


def _row(run: Run, found: list[Score], width: int) -> Row:
    """Sign, number, what and model; at the right when it ended and its score, or why it ended as it did."""
    sign, token = state_span(run)
    begin: Line = ((f"{sign} ", token), (left(f"#{run.id}", 6), "dim"), (left(what(run), 13) + " ", "dim"))
    best = headline_score(found)
    said = run.state if run.state == "done" else run.reason or run.state
    tail: Line = ((said, "dim"),)
    if best is not None and run.state == "done":
        mark = " ⚠" if best.alarms else ""
        tail = ((f"{best.metric} {measured(best.metric, best.value)}{mark}", "alarm" if mark else ""),)
    ended = time.strftime("  %Y-%m-%d %H:%M", time.localtime(run.ended)) if run.ended else ""
    tail = (*clip(tail, max(12, width // 3)), (ended, "dim"))
    room = max(1, width - line_width(begin) - line_width(tail) - 1)
    name = named(run, room)
    tags = ((f" {tag_text(run)}", "accent"),) if run.tags else ()
    return Row(spread((*begin, *clip(((name, ""), *tags), room)), tail, width), f"run:{run.id}")
