"""The one dashboard: Tracker, Queue, GPU and Run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from textual import events, on
from textual.binding import Binding, BindingsMap
from textual.widgets import Input

from fada_tui.commands.table import Commands
from fada_tui.screens.panes import PanesScreen
from fada_tui.screens.suggest import Suggestion, first_to_do, suggest
from fada_tui.sources.views import RunList, RunView, Selection, TelemetryView
from fada_tui.widgets.bars import KeyBar
from fada_tui.widgets.lineview import LineView

if TYPE_CHECKING:
    from db.tracker.rows import Model, Proposal, Tracker
    from db.tracker.sync import SyncState
    from fada_tui.screens.jump import Target

_TOLD = 8
"""So many numbers of queued runs are named."""
_COPIED_WIDTH = 240
"""Rows are copied as a wide pane would show them, so that nothing is cut."""


class Dashboard(PanesScreen):
    """Holds no data of its own but what the panes show; the app hands that in, commands read :attr:`selection`."""

    def __init__(self, commands: Commands | None = None) -> None:
        super().__init__(commands or Commands())
        # Textual's own key map would take a key away from all the commands that share it.
        self._bindings = BindingsMap(
            Binding(",".join(command.keys), f"command('{command.id}')", command.label, id=command.id, show=False)
            for command in self.commands.table
            if command.keys
        )
        self._picked: int | None = None
        self._awaited: str | None = None
        """A model that was just added: the cursor goes to it once it is shown."""

    # Data

    def show_tracker(self, tracker: Tracker) -> None:
        self.top.tracker = tracker
        self.tracker.tracker = tracker
        self.run_pane.suggestion = first_to_do(tracker) or "a model"
        awaited = tracker.by_name.get(self._awaited or "")
        if awaited is not None:
            self.tracker.bring_out(awaited)
            self._awaited = None
        self.update_keys()

    def show_proposals(self, proposals: Mapping[str, Proposal]) -> None:
        self.top.proposals = len(proposals)
        self.tracker.proposals = proposals
        self.update_keys()

    def show_note_file(self, state: SyncState | None) -> None:
        """The top line says that the two differ; that somebody else changed the file is told once, when it is seen."""
        before, self.top.note_file = self.top.note_file, state
        if state is not None and state.is_news and not (before is not None and before.is_news):
            self.app.notify(f"{state.text}\nS shows both sides and syncs them", title="Note", markup=False, timeout=8)

    def show_runs(self, runs: RunList) -> None:
        self.top.runs = runs
        self.tracker.runs = runs
        self.queue.runs = runs
        self.queue.loaded = self.run_pane.loaded = True
        if self._picked is not None and runs.get(self._picked) is None:
            # Deleted or put away: the row that took its place, so that several can be done away with in a row.
            self.pick(self.queue.run_id)
        self.update_keys()

    def show_run(self, view: RunView | None) -> None:
        self.run_pane.view = view
        # While the cursor moves on, views of runs that it has passed still come in.
        if view is not None and self._picked in (None, view.run.id):
            self.queue.choose(f"run:{view.run.id}")
        self.update_keys()

    def show_telemetry(self, telemetry: TelemetryView) -> None:
        self.top.telemetry = telemetry
        if self.gpu.display:
            self.gpu.telemetry = telemetry

    def pick(self, run_id: int | None) -> None:
        """Show a run in the Run pane; None: whichever is the newest active."""
        self._picked = run_id
        self.panel_app.feeds.choose_run(run_id)

    # What commands act on

    @property
    def selection(self) -> Selection:
        pane = self.pane
        view = self.panes[pane]
        key = view.key
        shown = self.run_pane.view.run if self.run_pane.view else None
        model, item, section, run = self.tracker.model_at(key), self.tracker.item_at(key), None, shown
        if pane == "tracker":
            if key and key.startswith(("section:", "phase:")):
                section = key
            if model is not None:
                run = self.tracker.runs.live_of(model) or shown
        elif pane == "queue" and key:
            run = self.queue.runs.get(int(key.removeprefix("run:"))) or shown
        marked = (self.tracker.marked_models, self.tracker.marked_items) if pane == "tracker" else ((), ())
        known = (self.tracker.proposal_at(key), self.tracker.absent_at(key)) if pane == "tracker" else (None, None)
        models = self.tracker.item_models(item) if pane == "tracker" and model is None else ()
        return Selection(pane, model, item, run, section, *marked, *known, models)

    def row_text(self) -> str:
        """The chosen row as text, or the whole pane where no row can be chosen."""
        return re.sub(r"  +", "  ", self.focused_pane.text(_COPIED_WIDTH)).strip()

    def suggestion(self) -> Suggestion:
        """What a form is filled with."""
        return suggest(self.selection, self.run_pane.view, self.tracker.tracker)

    def suggestion_for(self, model: Model) -> Suggestion:
        """What a form is filled with for this model."""
        return suggest(Selection("tracker", model), self.run_pane.view, self.tracker.tracker)

    def await_model(self, name: str) -> None:
        """Put the cursor on a model as soon as the tracker that has it comes in."""
        self._awaited = name
        self.panel_app.feeds.nudge()

    def queued(self, runs: tuple[int, ...] | None) -> None:
        """A form has queued runs: show the first of them."""
        if runs:
            numbers = " ".join(f"#{run}" for run in runs[:_TOLD]) + (" …" if len(runs) > _TOLD else "")
            self.app.notify(f"queued as {numbers}", markup=False, timeout=4)
            self.pick(runs[0])
            self.panel_app.feeds.nudge()

    # Keys

    def action_command(self, command_id: str) -> None:
        """Run a command; :meth:`check_action` has seen that it works right here."""
        self.panel_app.carry_out(partial(self.commands.by_id[command_id].run, self))
        self.update_keys()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key whose command has nothing to act on is left to the next one that has it.

        While the filter is typed into, its keys are text.
        """
        if action != "command":
            return True
        if self.panel_app.leaving:
            return False
        if self.filter_input.has_focus:
            return parameters[0] == "back"
        return self.commands.by_id[str(parameters[0])].works(self.selection)

    def on_key(self, event: events.Key) -> None:
        """A key that nothing has taken: where it is a command's, why that does nothing right here."""
        why = None if self.filter_input.has_focus else self.commands.why_not(event.key, self.selection)
        if why is not None:
            self.app.clear_notifications()
            self.app.notify(why, markup=False, timeout=4)

    def update_keys(self) -> None:
        self.keys.commands = tuple(self.commands.footer(self.selection))

    @on(KeyBar.Pressed)
    def _key_pressed(self, event: KeyBar.Pressed) -> None:
        if event.command.works(self.selection):
            self.action_command(event.command.id)

    # Panes

    def jump_to(self, target: Target | None) -> None:
        """Focus the pane of what was chosen in jump mode, and put the cursor there."""
        from fada_tui.screens.jump import go_to

        if target is not None:
            self.focus_pane(str(target.view.id))
            go_to(target)

    def back(self) -> None:
        """Escape: close the filter, else take the marks away, else unzoom."""
        if self.filter_input.display or self.tracker.filter_text:
            self._close_filter(keep=False)
        elif self.tracker.marked:
            self.tracker.clear_marks()
        elif self.has_class("-zoom"):
            self.toggle_zoom()

    @on(events.DescendantFocus)
    def _focus_came(self) -> None:
        self._arrange()
        self.update_keys()

    @on(LineView.Chosen)
    def _row_chosen(self, event: LineView.Chosen) -> None:
        if event.view is self.queue:
            self.pick(int(event.key.removeprefix("run:")))
        self.update_keys()

    @on(LineView.Opened)
    def _row_opened(self) -> None:
        selection = self.selection
        self.action_command(
            "fold" if selection.section else "details" if selection.model or selection.absent else "open"
        )

    # Filter

    def open_filter(self) -> None:
        self.focus_pane("tracker")
        self.filter_input.display = True
        self.keys.display = False
        self.filter_input.value = self.tracker.filter_text
        self.set_focus(self.filter_input)

    def _close_filter(self, *, keep: bool) -> None:
        self.filter_input.display = False
        self.keys.display = True
        if not keep:
            self.tracker.filter_text = ""
        self.focus_pane("tracker")

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        if self.filter_input.display:
            self.tracker.filter_text = event.value

    @on(Input.Submitted, "#filter")
    def _filter_kept(self) -> None:
        self._close_filter(keep=True)
