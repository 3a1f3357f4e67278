"""Every command of the panel, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fada_tui.commands import view
from fada_tui.commands.command import PANES, Command
from fada_tui.commands.jobkeys import JOBS
from fada_tui.commands.trackerkeys import TRACKING
from fada_tui.screens import pane_number
from fada_tui.sources.views import Selection

_TITLES = {"tracker": "Tracker", "queue": "Queue", "gpu": "GPU", "run": "Run"}
_MOVE = "Moving"
_LOOK = "Looking"


MOVES = (
    Command("down", ("j", "down"), "Down", "Next row", _MOVE, view.down, palette=False, shown="j ↓"),
    Command("up", ("k", "up"), "Up", "Previous row", _MOVE, view.up, palette=False, shown="k ↑"),
    Command("page-down", ("pagedown", "ctrl+d"), "Page down", "One page down", _MOVE, view.page_down, palette=False),
    Command("page-up", ("pageup", "ctrl+u"), "Page up", "One page up", _MOVE, view.page_up, palette=False),
    Command("top", ("g", "home"), "Top", "First row", _MOVE, view.top, palette=False),
    Command("bottom", ("G", "end"), "Bottom", "Last row", _MOVE, view.bottom, palette=False),
    Command("next-pane", ("tab",), "Next pane", "Focus the next pane", _MOVE, view.next_pane, palette=False),
    Command("prev-pane", ("shift+tab",), "Back", "Focus the previous pane", _MOVE, view.previous_pane, palette=False),
)

FOCUS = tuple(
    Command(
        f"focus-{pane}",
        (str(pane_number(pane)),),
        _TITLES[pane],
        f"Focus the {_TITLES[pane]} pane",
        _MOVE,
        view.focuser(pane),
    )
    for pane in PANES
)

LOOKS = (
    Command("zoom", ("z",), "zoom", "The focused pane on the whole screen, and back", _LOOK, view.zoom, footer=60),
    Command(
        "leaderboard",
        ("b",),
        "board",
        "The leaderboard: runs ranked by kind of evaluation, with intervals, floors and alarms",
        _LOOK,
        view.leaderboard,
        footer=58,
    ),
    Command(
        "longer",
        ("right_square_bracket", "plus"),
        "longer",
        "A longer time in the GPU pane's history, from minutes to a month (zooms the pane)",
        _LOOK,
        view.longer,
        ("gpu",),
        footer=5,
        shown="]",
    ),
    Command(
        "shorter",
        ("left_square_bracket", "minus"),
        "shorter",
        "A shorter time in the GPU pane's history",
        _LOOK,
        view.shorter,
        ("gpu",),
        footer=6,
        shown="[",
    ),
    Command("copy", ("y",), "copy", "Copy the chosen row (OSC 52, works over SSH)", _LOOK, view.copy),
    Command("jump", ("apostrophe",), "jump", "A letter on every row and pane: its key goes there", _LOOK, view.jump),
    Command("messages", ("M",), "messages", "What the panel has said, errors too, in full", _LOOK, view.messages),
    Command("theme", (), "theme", "Colours: dark, light, high contrast, colour-blind safe, ansi", _LOOK, view.theme),
    Command(
        "palette", ("ctrl+p",), "commands", "Every command, by name", _LOOK, view.palette, footer=80, palette=False
    ),
    Command("repaint", ("ctrl+l",), "repaint", "Paint the screen anew, on any screen", _LOOK, view.repaint),
    Command(
        "suspend",
        ("ctrl+z",),
        "suspend",
        "Back to the shell until `fg`, from any screen; jobs go on",
        _LOOK,
        view.suspend,
    ),
    Command("help", ("question_mark",), "help", "Every key, and what works here", _LOOK, view.help, footer=81),
    Command("back", ("escape",), "back", "Leave the filter, the marks or zoom", _LOOK, view.back, palette=False),
    Command("quit", ("q",), "quit", "Close the panel; jobs go on", _LOOK, view.quit, footer=90),
)

TABLE: tuple[Command, ...] = (*TRACKING, *JOBS, *LOOKS, *FOCUS, *MOVES)


@dataclass(frozen=True)
class Commands:
    """The table under the keys that the user wants: what dashboard, footer, palette and help are made from."""

    table: Sequence[Command] = TABLE

    @cached_property
    def by_id(self) -> dict[str, Command]:
        return {command.id: command for command in self.table}

    def key(self, name: str) -> str:
        """The key of a command as a person reads it; where it has none, how else it is found."""
        return self.by_id[name].key or f"{self.by_id['palette'].key or '^p'} {self.by_id[name].label}"

    def why_not(self, key: str, selection: Selection) -> str | None:
        """Why a key does nothing right here; None where it does something, or is no command's."""
        named = [command for command in self.table if key in command.keys]
        if any(command.works(selection) for command in named):
            return None
        named = [command for command in named if command.palette]
        if not named:
            return None
        here = next((one for one in named if not one.panes or selection.pane in one.panes), None)
        if here is not None:
            return f"{here.key} {here.label} {here.lacks(selection)}"
        panes = " or ".join(f"{_TITLES[pane]} ({pane_number(pane)})" for one in named[:1] for pane in one.panes)
        return f"{named[0].key} {named[0].label} works in {panes}"

    def footer(self, selection: Selection) -> list[Command]:
        """What works right here, the most to the point first."""
        shown = [
            command.here(selection)
            for command in self.table
            if command.footer is not None and command.keys and command.works(selection)
        ]
        return sorted(shown, key=lambda command: command.footer or 0)
