"""What is opened from a row of the leaderboard: its model, a comparison, its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from db.home import Home
from db.runs.rows import Run
from db.tracker.rows import Model, Tracker
from fada_tui.commands.view import memory_total

if TYPE_CHECKING:
    from textual.app import App

    from fada_tui.screens.dashboard import Dashboard


def tell(app: App[object], title: str, text: str) -> None:
    app.notify(text, title=title, markup=False, timeout=4)


def compare(panel: Dashboard, runs: Sequence[int], metric: str | None) -> None:
    """Marked runs beside each other."""
    from fada_tui.screens.compare import CompareScreen

    if len(runs) < 2:
        tell(panel.app, "Compare", "mark two runs or more with m")
    else:
        panel.app.push_screen(CompareScreen(panel.panel_app.home, tuple(runs), metric))


def model(panel: Dashboard, tracker: Tracker | None, label: str) -> None:
    """Everything known of a row's model, where the tracker has it."""
    from fada_tui.screens.model import ModelScreen

    found = model_of(tracker, label.split(" ← ")[0])
    if found is None:
        tell(panel.app, "Model", f"{label} is not in the tracker")
    else:
        panel.app.push_screen(ModelScreen(panel, found, memory_total(panel.top.telemetry)))


def model_of(tracker: Tracker | None, name: str) -> Model | None:
    """The tracked model of that name or alias."""
    wanted = name.casefold()
    for one in tracker.models if tracker else ():
        if wanted in (one.name.casefold(), *(alias.casefold() for alias in one.aliases)):
            return one
    return None


def samples(panel: Dashboard, home: Home, number: int, run: Run | None) -> None:
    from fada_tui.screens.samples import SamplesScreen

    if run is None:
        tell(panel.app, "Samples", f"#{number} is gone")
    else:
        panel.app.push_screen(SamplesScreen(home, run))
