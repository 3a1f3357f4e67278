"""Commands that change what is seen, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard
    from fada_tui.sources.views import TelemetryView


def down(panel: Dashboard) -> None:
    panel.focused_pane.move(1)


def up(panel: Dashboard) -> None:
    panel.focused_pane.move(-1)


def page_down(panel: Dashboard) -> None:
    panel.focused_pane.page(1)


def page_up(panel: Dashboard) -> None:
    panel.focused_pane.page(-1)


def top(panel: Dashboard) -> None:
    panel.focused_pane.edge(-1)


def bottom(panel: Dashboard) -> None:
    panel.focused_pane.edge(1)


def focuser(pane: str) -> Callable[[Dashboard], None]:
    """A command that focuses ``pane``."""

    def focus(panel: Dashboard) -> None:
        panel.focus_pane(pane)

    return focus


def next_pane(panel: Dashboard) -> None:
    panel.step_pane(1)


def previous_pane(panel: Dashboard) -> None:
    panel.step_pane(-1)


def zoom(panel: Dashboard) -> None:
    panel.toggle_zoom()


def longer(panel: Dashboard) -> None:
    _change_span(panel, 1)


def shorter(panel: Dashboard) -> None:
    _change_span(panel, -1)


def _change_span(panel: Dashboard, by: int) -> None:
    """The first press shows the history as it is."""
    if not panel.gpu.zoomed:
        panel.focus_pane("gpu")
        panel.toggle_zoom()
        return
    panel.gpu.change_span(by)
    panel.watch_history()


def back(panel: Dashboard) -> None:
    panel.back()


def filter_rows(panel: Dashboard) -> None:
    panel.open_filter()


def fold(panel: Dashboard) -> None:
    section = panel.selection.section
    if section is not None:
        panel.tracker.toggle(section)


def fold_all(panel: Dashboard) -> None:
    panel.tracker.fold_all()


def open_row(panel: Dashboard) -> None:
    """An item toggles its box; a job shows itself in the Run pane."""
    if panel.selection.pane == "queue":
        panel.focus_pane("run")
        return
    from fada_tui.commands import tracking

    tracking.mark(panel)


def details(panel: Dashboard) -> None:
    from fada_tui.screens.model import ModelScreen

    model = panel.selection.model or panel.selection.absent
    if model is not None:
        panel.app.push_screen(ModelScreen(panel, model, memory_total(panel.top.telemetry)))


def memory_total(telemetry: TelemetryView) -> int | None:
    """Bytes of the largest card, or of main memory where there is none; None until the machine was looked at."""
    newest = telemetry.newest
    if newest is None:
        return None
    cards = [gpu.memory_total for gpu in newest.gpus if gpu.memory_total]
    return max(cards) if cards else newest.host.memory_total


def select(panel: Dashboard) -> None:
    """Mark the row and go on to the next; on a head, mark what is under it and stay."""
    key = panel.tracker.key
    if key is not None:
        panel.tracker.toggle_mark(key)
        if panel.selection.section is None:
            panel.tracker.move(1)


def order(panel: Dashboard) -> None:
    from fada_tui.listing.order import Order
    from fada_tui.screens.order import OrderScreen

    def chosen(order: Order | None) -> None:
        if order is not None:
            panel.tracker.order = order

    panel.app.push_screen(OrderScreen(panel.tracker.columns, panel.tracker.order), chosen)


def history(panel: Dashboard) -> None:
    from fada_tui.screens.history import HistoryScreen

    model = panel.selection.model if panel.selection.pane == "tracker" else None
    panel.app.push_screen(HistoryScreen(panel, model.name if model else None))


def stats(panel: Dashboard) -> None:
    from fada_tui.screens.stats import StatsScreen

    panel.app.push_screen(StatsScreen(panel.panel_app.home, panel.tracker.tracker))


def leaderboard(panel: Dashboard) -> None:
    """Of the kind that the shown run is of, where it is an evaluation."""
    from backends.leaderboard.entries import KINDS
    from fada_tui.screens.leaderboard import LeaderboardScreen

    run = panel.selection.run if panel.selection.pane in ("queue", "run") else None
    kind = run.task if run is not None and run.task in KINDS else "gt"
    panel.app.push_screen(LeaderboardScreen(panel, kind))


def sync(panel: Dashboard) -> None:
    """With the note's file; where it came from none, with one that is asked for."""
    from fada_tui.screens.paths import PathSuggester
    from fada_tui.screens.prompt import PromptScreen
    from fada_tui.screens.sync import SyncScreen

    home = panel.panel_app.home

    def named(text: str | None) -> None:
        if text:
            panel.app.push_screen(SyncScreen(home, Path(text).expanduser().absolute()))

    state = panel.top.note_file
    if state is not None:
        panel.app.push_screen(SyncScreen(home, state.path))
        return
    facts = ("This note came from no file of yours. Name one to keep it in step with; it may be a new one.",)
    prompt = PromptScreen(
        "Sync with which file?", facts=facts, help="enter shows what a sync would do", suggester=PathSuggester()
    )
    panel.app.push_screen(prompt, named)


def copy(panel: Dashboard) -> None:
    """The chosen row, or the whole pane where no row can be chosen."""
    text = panel.row_text()
    panel.app.copy_to_clipboard(text)
    panel.app.notify(text if len(text) < 60 else f"{text[:57]}…", title="Copied", markup=False, timeout=3)


def palette(panel: Dashboard) -> None:
    panel.app.action_command_palette()


def jump(panel: Dashboard) -> None:
    from fada_tui.screens.jump import JumpScreen

    views = panel.shown_panes
    panel.app.push_screen(JumpScreen(views, panel.pane_keys), panel.jump_to)


def messages(panel: Dashboard) -> None:
    from fada_tui.screens.messages import MessagesScreen

    panel.app.push_screen(MessagesScreen(panel.panel_app.read_journal()))


def theme(panel: Dashboard) -> None:
    from fada_tui.screens.theme import ThemeScreen

    panel.app.push_screen(ThemeScreen(panel.app.theme), panel.panel_app.wear)


def help(panel: Dashboard) -> None:
    from fada_tui.screens.help import HelpScreen

    panel.app.push_screen(HelpScreen(panel.commands, panel.selection))


def repaint(panel: Dashboard) -> None:
    panel.panel_app.action_repaint()


def suspend(panel: Dashboard) -> None:
    panel.panel_app.action_suspend()


def quit(panel: Dashboard) -> None:
    panel.panel_app.leave()
