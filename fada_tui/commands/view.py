"""Commands that change what is seen, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard


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


def back(panel: Dashboard) -> None:
    panel.back()


def filter_rows(panel: Dashboard) -> None:
    panel.open_filter()


def fold(panel: Dashboard) -> None:
    section = panel.selection.section
    if section is not None:
        panel.tracker.toggle(section)


def open_row(panel: Dashboard) -> None:
    """A model or an item shows its status; a job shows itself in the Run pane."""
    if panel.selection.pane == "queue":
        panel.focus_pane("run")
        return
    from fada_tui.commands import tracking

    tracking.mark(panel)


def copy(panel: Dashboard) -> None:
    """The chosen row, or the whole pane where no row can be chosen."""
    text = panel.row_text()
    panel.app.copy_to_clipboard(text)
    panel.app.notify(text if len(text) < 60 else f"{text[:57]}…", title="Copied", markup=False, timeout=3)


def palette(panel: Dashboard) -> None:
    panel.app.action_command_palette()


def help(panel: Dashboard) -> None:
    from fada_tui.screens.help import HelpScreen

    panel.app.push_screen(HelpScreen(panel.selection))


def quit(panel: Dashboard) -> None:
    panel.panel_app.leave()
