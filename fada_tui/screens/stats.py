"""The figures of the note's summary, stated and computed, and how far each section has come."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar

from textual.binding import BindingType

from db.home import Home
from db.tracker.queries import load_tracker, refresh_tracker
from db.tracker.rows import Tracker
from db.tracker.stats import coverage, stats
from fada_tui.format import count
from fada_tui.screens.live import LiveScreen
from fada_tui.screens.statsrows import coverage_rows, figure_rows
from fada_tui.widgets.line import Row


class StatsScreen(LiveScreen):
    """`w` leaves only the figures that differ.

    Args:
        known: The tracker as the panel has it: only what changed since is read again.
    """

    BINDINGS: ClassVar[list[BindingType]] = [("w", "differing", "only what differs")]

    def __init__(self, home: Home, known: Tracker | None) -> None:
        super().__init__(home, "Stats", "j k scroll · G coverage · w only what differs · y copy · esc back")
        self._known = known
        self._only_differing = False

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> object:
        self._known = refresh_tracker(tracker, self._known) if self._known else load_tracker(tracker)
        return stats(tracker), coverage(self._known)

    def rows(self, data: Any, width: int) -> list[Row]:
        figures, covered = data
        differing = [figure for figure in figures if figure.agrees is False]
        said = f"{len(differing)} of {count(len(figures), 'figure')} differ" if figures else ""
        self.view.set_title("Stats: what the note says and what it counts up to", said)
        shown = differing if self._only_differing else figures
        nothing = (
            "Every figure agrees." if figures else "The note has no summary tables, so there is nothing to compare."
        )
        rows = figure_rows(shown, width) or [Row(((nothing, "dim"),))]
        return [*rows, Row(()), *coverage_rows(covered, width)]

    def action_differing(self) -> None:
        self._only_differing = not self._only_differing
        self.draw()
