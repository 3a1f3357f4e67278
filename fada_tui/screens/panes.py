"""The four panes on one screen: how they share it, which of them has the focus, and the one that is zoomed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Input

from fada_tui.commands.table import Commands
from fada_tui.screens import PANE_ORDER, pane_number
from fada_tui.widgets.bars import KeyBar, TopBar
from fada_tui.widgets.gpupane import GpuPane
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.queuepane import QueuePane
from fada_tui.widgets.runpane import RunPane
from fada_tui.widgets.trackerpane import TrackerPane
from fada_tui.widgets.welcome import WelcomePane

if TYPE_CHECKING:
    from fada_tui.app import PanelApp

SINGLE = (70, 20)
"""Below this many columns or rows only the focused pane is shown."""
NARROW = 100
TALL = 45


class PanesScreen(Screen[None]):
    """Args: ``commands``: with the keys that titles and empty states name."""

    AUTO_FOCUS = "#tracker"
    auto_links = False
    _last_pane = "tracker"

    def __init__(self, commands: Commands) -> None:
        super().__init__()
        self.commands = commands
        self.top = TopBar(id="top")
        self.top.key = self.commands.key
        self.tracker = TrackerPane(id="tracker")
        self.queue = QueuePane(self.commands.key, id="queue")
        self.gpu = GpuPane(id="gpu")
        self.run_pane = RunPane(self.commands.key, id="run")
        self.welcome = WelcomePane(self.commands.key, id="welcome")
        self.keys = KeyBar(id="keys")
        self.filter_input = Input(id="filter", placeholder="filter models and items; enter keeps, esc clears")
        self.panes: dict[str, LineView] = {
            "tracker": self.tracker,
            "queue": self.queue,
            "gpu": self.gpu,
            "run": self.run_pane,
        }

    @property
    def panel_app(self) -> PanelApp:
        return cast("PanelApp", self.app)

    def compose(self) -> ComposeResult:
        yield self.top
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self.tracker
                yield self.queue
            with Vertical(id="right"):
                yield self.welcome
                yield self.gpu
                yield self.run_pane
        yield self.filter_input
        yield self.keys

    def _compositor_refresh(self) -> None:
        """Nothing is drawn before there is something to see: the empty panes would be thrown away."""
        if self.panel_app.shown:
            super()._compositor_refresh()
        else:
            self._dirty_widgets.clear()

    def on_mount(self) -> None:
        titles = ("1 Tracker", "2 Queue", "3 GPU", "4 Run")
        for pane, title in zip(self.panes.values(), titles, strict=True):
            # Data may have come, and named its pane, before this.
            pane.set_title(pane.title or title)
        self.filter_input.display = False
        self._arrange()

    @property
    def pane(self) -> str:
        """The focused pane, or the one that was focused last."""
        if isinstance(self.focused, LineView) and self.focused.id in PANE_ORDER:
            self._last_pane = str(self.focused.id)
        return self._last_pane

    @property
    def focused_pane(self) -> LineView:
        return self.panes[self.pane]

    def focus_pane(self, pane: str) -> None:
        """Focus a pane; while one is zoomed, the zoom goes along."""
        self._last_pane = pane
        if self.has_class("-zoom"):
            self._mark_zoomed(pane)
        self._arrange(pane)
        # At once: focus() waits until the app is idle, and would take the focus away from what got it meanwhile.
        self.set_focus(self.panes[pane])

    @property
    def shown_panes(self) -> list[LineView]:
        """Those that are on the screen, the focused one first."""
        shown = [view for view in self.panes.values() if view.display and view.size.width]
        return sorted(shown, key=lambda view: view is not self.focused_pane)

    @property
    def pane_keys(self) -> dict[str, LineView]:
        """The panes by the numbers in their titles."""
        return {str(pane_number(name)): view for name, view in self.panes.items()}

    def greet(self, greeting: bool) -> None:
        """Show the first page in the place of the right panes, or take it away."""
        self.set_class(greeting, "-welcome")
        self._arrange()

    def step_pane(self, direction: int) -> None:
        index = PANE_ORDER.index(self.pane) + direction
        self.focus_pane(PANE_ORDER[index % len(PANE_ORDER)])

    def toggle_zoom(self) -> None:
        self.set_class(not self.has_class("-zoom"), "-zoom")
        self._arrange(self.pane)

    def _mark_zoomed(self, pane: str | None) -> None:
        for name, view in self.panes.items():
            view.set_class(name == pane, "-shown")
        for side, names in (("left", ("tracker", "queue")), ("right", ("gpu", "run"))):
            self.query_one(f"#{side}").set_class(pane in names, "-shown")

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()

    def _arrange(self, pane: str | None = None) -> None:
        """Which panes are shown, and how the room is shared."""
        if not self.is_mounted:
            return
        width, height = self.app.size
        single = width < SINGLE[0] or height < SINGLE[1]
        self.set_class(width < NARROW, "-narrow")
        self.set_class(height >= TALL, "-tall")
        self.set_class(single or self.has_class("-zoom"), "-one")
        self._mark_zoomed(pane or self.pane)
        self.set_class((pane or self.pane) in ("gpu", "run"), "-focus-right")
        self.set_class((pane or self.pane) == "queue", "-focus-queue")
        self.gpu.zoom(self.has_class("-zoom") and (pane or self.pane) == "gpu")
        self.watch_history()
        if self.gpu.display:
            self.gpu.telemetry = self.top.telemetry

    def watch_history(self) -> None:
        """Have the history read that the zoomed GPU pane shows; else none."""
        self.panel_app.feeds.watch_history(self.gpu.span if self.gpu.zoomed else None)
