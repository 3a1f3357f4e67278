"""One table gives keys, footer, palette and help: it must hold together."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from fada_tui.commands.command import PANES
from fada_tui.commands.table import TABLE, footer_commands
from fada_tui.screens.help import help_rows
from fada_tui.sources.views import Selection
from fada_tui.widgets.line import plain
from tests.fada_tui import panel

MODEL = panel.TRACKER.models[0]
SELECTIONS = [
    Selection("tracker", model=MODEL, run=panel.RUNNING),
    Selection("tracker", item=panel.TRACKER.items[0]),
    Selection("tracker", section="section:Tier 1"),
    *(
        Selection(pane, run=replace(panel.RUNNING, state=state))
        for pane in PANES
        for state in ("queued", "held", "running", "done", "failed", "cancelled", "lost")
    ),
    *(Selection(pane) for pane in PANES),
]


def test_ids_are_unique() -> None:
    assert len({command.id for command in TABLE}) == len(TABLE)


def test_no_key_means_two_things_at_once() -> None:
    for selection in SELECTIONS:
        for one, other in combinations([command for command in TABLE if command.works(selection)], 2):
            assert not set(one.keys) & set(other.keys), (one.id, other.id, selection)


def test_help_has_every_key_and_description() -> None:
    text = plain(help_rows(SELECTIONS[0]))
    for command in TABLE:
        assert command.description in text
        assert f"  {command.key} " in text


def test_footer_shows_what_works_here_only() -> None:
    for selection in SELECTIONS:
        assert all(command.works(selection) for command in footer_commands(selection))
    ids = [command.id for command in footer_commands(Selection("queue", run=panel.RUNNING))]
    assert ids[0] == "cancel"
    assert "mark" not in ids
    assert "retry" not in ids


def test_the_keys_of_the_design_are_there() -> None:
    keys = {key for command in TABLE for key in command.keys}
    wanted = {*"1234zjksnefilcrRhuUyqD", "slash", "space", "enter", "ctrl+p", "question_mark", "tab"}
    assert wanted <= keys
