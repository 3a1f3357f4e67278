"""The panel: takes what the worker threads send and hands it to the dashboard."""

from __future__ import annotations

import gc
from collections.abc import MutableMapping
from functools import partial
from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.worker import Worker

from db.home import Home
from fada_tui.cells import wants_diff
from fada_tui.commands.command import ANYWHERE, key_name
from fada_tui.commands.keymap import with_keys
from fada_tui.commands.provider import PanelCommands
from fada_tui.commands.table import TABLE, Commands
from fada_tui.config import read_config
from fada_tui.messages import (
    NoteFileLoaded,
    ProposalsLoaded,
    RunLoaded,
    RunsLoaded,
    SourceFailed,
    TelemetryLoaded,
    TrackerLoaded,
)
from fada_tui.screens.dashboard import Dashboard
from fada_tui.screens.failing import broken
from fada_tui.screens.toosmall import MINIMUM, TooSmall
from fada_tui.sources.feeds import Feeds, Wanted
from fada_tui.sources.trouble import UNREADABLE
from fada_tui.sources.upgrade import Guard
from fada_tui.sources.views import RunList, TelemetryView
from fada_tui.telling import TellingApp
from fada_tui.widgets.palettes import PALETTES
from fada_tui.widgets.status import parting_words
from fada_tui.widgets.theme import as_textual

RECONCILE_S = 2.0
LATEST_S = 1.0
"""After this long the panel is shown and all sources run, tracker or not."""


def _remember(config: Path, theme: str) -> list[str]:
    from fada_tui.config import remember_theme

    remember_theme(config, theme)
    return [f"{theme}; kept in {config.name}"]


class PanelApp(TellingApp):
    """Its result is the line to print after it has closed, or None.

    Args:
        home: Whose tracker and runs.
        live: Watch the databases and sample the machine; tests hand in data by message instead.
        greet: Show the first page beside the tracker until a key is pressed.
        wanted: What is to be shown; the panel as it is unless said.
    """

    TITLE = "FADA"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {PanelCommands}  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,ctrl+c", "leave", "quit", show=False, priority=True),
        Binding("question_mark", "keys", "keys", show=False),
    ]
    auto_links = False

    def __init__(
        self,
        home: Home,
        *,
        live: bool = True,
        greet: bool = False,
        wanted: Wanted | None = None,
    ) -> None:
        super().__init__(diff=wants_diff(home.config), shown=not live)
        self.home = home
        self.live = live
        self.runs = RunList()
        self.config = read_config(home.config)
        table, problems = with_keys(TABLE, self.config.keys)
        self._problems = (*self.config.problems, *problems)
        self.dashboard = Dashboard(Commands(table))
        self.leaving = False
        self.feeds = Feeds(self, wanted or Wanted())
        self._greet = greet
        self._complete = False
        self._alerted: frozenset[tuple[str, float]] | None = None
        """Alerts that were up at the last look; None before the first."""
        self._aimed: MutableMapping[events.Key, Widget] = WeakKeyDictionary()
        """What had the focus when a key came."""
        for command in self.dashboard.commands.table:
            # Also over dialogs and fields, but for keys that write something there.
            if command.id in ANYWHERE and (keys := [key for key in command.keys if len(key_name(key)) > 1]):
                self._bindings.bind(",".join(keys), command.id, command.label, show=False, priority=True)
        for palette in PALETTES.values():
            self.register_theme(as_textual(palette))
        self.theme = self.config.theme or "dark"
        self.animation_level = "none"

    def get_default_screen(self) -> Dashboard:
        return self.dashboard

    def on_mount(self) -> None:
        if not self.is_headless:
            guard = Guard()
            guard.stand()
            self.feeds.stop_with_me(guard.go)
            self.heed_signals()
        if self._greet:
            self.dashboard.greet(True)
        if self._problems:
            self.notify("\n".join(self._problems), title="config.toml", severity="warning", markup=False, timeout=12)
        if self.live:
            self.feeds.watch()
            # At the latest: a tracker that cannot be read never comes.
            self.set_timer(LATEST_S, self._go_on)

    def _go_on(self) -> None:
        """The rest, once the tracker is there: what it imports would be waited for by whoever has opened the panel."""
        if self._complete:
            return
        self._complete = True
        # Panes find their sizes in the first pass and their scroll bars in the second.
        self.call_after_refresh(self.call_after_refresh, self._show)

    def _show(self) -> None:
        self.shown = True
        self.screen.refresh()
        self.call_after_refresh(self._start_others)

    def _start_others(self) -> None:
        gc.freeze()
        gc.enable()
        self.feeds.start_others()
        self.set_interval(RECONCILE_S, self._keep_going)

    async def on_event(self, event: events.Event) -> None:
        """Keys typed right behind one that opens something are meant for what it opened.

        They were on their way to what had the focus before: they come back from there unused, and are sent on.
        """
        if self._greet and isinstance(event, events.Key | events.MouseDown):
            # It has been seen; the key does what it does.
            self._greet = False
            self.dashboard.greet(False)
        if isinstance(event, events.Key):
            here = self.focused or self.screen
            if not event.is_forwarded:
                self._aimed[event] = here
                if event.key == "escape":
                    self.clear_notifications()
            elif self._aimed.get(event, here) is not here:
                again = events.Key(event.key, event.character)
                self._aimed[again] = here
                # What was opened may have keys that come before its fields', as a form has to move between them.
                if not await self._check_bindings(again.key, priority=True):
                    here._forward_event(again)
                return
        await super().on_event(event)

    def unread(self, errors: int) -> None:
        self.dashboard.top.errors = errors

    def look_again(self) -> None:
        self.feeds.nudge()

    def wear(self, place: int | None) -> None:
        """Keep the theme at this place of the palettes, also for the next time."""
        if place is None:
            return
        name = tuple(PALETTES)[place]
        self.theme = name
        self.start_task("Theme", partial(_remember, self.home.config, name))

    def on_unmount(self) -> None:
        self.feeds.stop()

    def _keep_going(self) -> None:
        """Reconcile where something waits or runs, or is wrong; a panel at rest starts no thread and opens no file."""
        if self.runs.active or self.runs.waiting or self._unreadable:
            self.feeds.reconcile(doubtful=self._unreadable)

    @property
    def _unreadable(self) -> bool:
        return (self.dashboard.top.trouble or "").startswith(UNREADABLE)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A source that broke down stays in the header: what it showed is no longer true."""
        text = broken(event)
        if text is not None:
            self.post_message(SourceFailed(text.replace("\n", " ")))

    # Data

    @on(TrackerLoaded)
    def _tracker_loaded(self, event: TrackerLoaded) -> None:
        self.dashboard.show_tracker(event.tracker)
        if self.live:
            self._go_on()

    @on(ProposalsLoaded)
    def _proposals_loaded(self, event: ProposalsLoaded) -> None:
        self.dashboard.show_proposals(event.proposals)

    @on(NoteFileLoaded)
    def _note_file_loaded(self, event: NoteFileLoaded) -> None:
        self.dashboard.show_note_file(event.state)

    @on(RunsLoaded)
    def _runs_loaded(self, event: RunsLoaded) -> None:
        self.runs = event.runs
        self.dashboard.show_runs(event.runs)

    @on(RunLoaded)
    def _run_loaded(self, event: RunLoaded) -> None:
        self.dashboard.show_run(event.view)

    @on(TelemetryLoaded)
    def _telemetry_loaded(self, event: TelemetryLoaded) -> None:
        self.dashboard.show_telemetry(event.telemetry)
        self._ring(event.telemetry)

    def _ring(self, telemetry: TelemetryView) -> None:
        """The terminal's bell, once for each alert that was raised since the last look."""
        before, self._alerted = self._alerted, frozenset((alert.key, alert.since) for alert in telemetry.alerts)
        if before is not None and telemetry.bell and self._alerted - before:
            self.bell()

    @on(SourceFailed)
    def _source_failed(self, event: SourceFailed) -> None:
        self.dashboard.top.trouble = event.text

    # Leaving, and terminals that are too small

    def parting_words(self) -> str | None:
        return parting_words(self.runs.active, len(self.runs.waiting))

    def leave(self) -> None:
        self.leaving = True
        self.exit(result=self.parting_words())

    def action_leave(self) -> None:
        self.leave()

    def action_keys(self) -> None:
        """`?` where the dashboard, whose own help says more, does not take it."""
        from fada_tui.screens.keyhelp import KeysScreen, has_keys

        if has_keys(self.screen):
            self.push_screen(KeysScreen(self.screen))

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < MINIMUM[0] or event.size.height < MINIMUM[1]
        shown = isinstance(self.screen, TooSmall)
        if small and not shown:
            self.push_screen(TooSmall())
        elif not small and shown:
            self.pop_screen()
        # It also comes from a terminal that was attached anew, or that we come back to.
        self.action_repaint()
