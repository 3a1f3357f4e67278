"""One table gives keys, footer, palette and help: it must hold together."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from db.tracker.rows import Proposal
from fada_tui.commands.command import PANES
from fada_tui.commands.table import TABLE, Commands
from fada_tui.screens.help import help_rows
from fada_tui.sources.views import Selection
from fada_tui.widgets.line import plain
from tests.fada_tui import panel

MODEL = panel.TRACKER.models[0]
footer_commands = Commands().footer
PROPOSAL = Proposal(MODEL.name, MODEL.status, "Tested", 12, "gt", 1000.0, "81.1% GT (600 samples)")
SELECTIONS = [
    Selection("tracker", model=MODEL, run=panel.RUNNING),
    Selection("tracker", item=panel.TRACKER.items[0]),
    Selection("tracker", section="section:Tier 1"),
    Selection("tracker", model=MODEL, proposal=PROPOSAL),
    Selection("tracker", model=MODEL, marked_models=panel.TRACKER.models[:3]),
    Selection("tracker", item=panel.TRACKER.items[0], marked_items=panel.TRACKER.items, marked_models=(MODEL,)),
    Selection("tracker", section="phase:Phase 1", marked_items=panel.TRACKER.items[:2]),
    Selection("tracker", section="section:Tier 1", marked_models=(MODEL,)),
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
    text = plain(help_rows(Commands(), SELECTIONS[0], 200))
    for command in TABLE:
        assert command.description in text
        assert f"  {Commands().key(command.id)} " in text


def test_footer_shows_what_works_here_only() -> None:
    for selection in SELECTIONS:
        assert all(command.works(selection) for command in footer_commands(selection))
    ids = [command.id for command in footer_commands(Selection("queue", run=panel.RUNNING))]
    assert ids[0] == "cancel"
    assert "mark" not in ids
    assert "retry" not in ids


def test_a_key_that_does_nothing_says_why() -> None:
    why = Commands().why_not
    assert why("x", Selection("queue", run=replace(panel.RUNNING, kind="eval"))) == (
        "x convert needs a fine-tune in the Queue, or the cursor on a model in the Tracker"
    )
    # What a tool does is no question asked of a model.
    assert why("i", Selection("queue", run=replace(panel.RUNNING, kind="tool"))).startswith(
        "i samples needs a run that"
    )
    assert why("R", Selection("tracker", model=MODEL)) == "R resume works in Queue (2) or Run (4)"
    assert why("d", Selection("tracker", section="section:Tier 1")) == (
        "d download needs the cursor on a model in the Tracker"
    )
    for selection in SELECTIONS:
        for command in TABLE:
            for key in command.keys:
                does = any(key in other.keys and other.works(selection) for other in TABLE)
                assert not does or why(key, selection) is None


def test_the_keys_of_the_design_are_there() -> None:
    keys = {key for command in TABLE for key in command.keys}
    wanted = {*"1234zjksnefilcrRhuUyqDamopHtSA", "minus", "slash", "space", "enter", "ctrl+p", "question_mark", "tab"}
    assert wanted <= keys


def label(command_id: str, selection: Selection) -> str | None:
    """What the footer calls a command here; None where it does not show it."""
    return next((command.label for command in footer_commands(selection) if command.id == command_id), None)


def test_the_footer_counts_what_is_marked() -> None:
    models, items = panel.TRACKER.models[:3], panel.TRACKER.items[:2]
    marked = Selection("tracker", model=MODEL, marked_models=models, marked_items=items)
    assert [label(name, marked) for name in ("mark", "status", "note", "evaluate")] == [
        "done ×3",
        "status ×3",
        "note ×3",
        "evaluate ×3",
    ]
    assert label("mark", replace(marked, model=None, item=items[0])) == "done ×2"
    assert label("status", replace(marked, model=None, item=items[0])) == "status ×3"
    assert label("mark", Selection("tracker", model=MODEL, marked_items=items)) == "done"


def test_space_on_a_head_folds_unless_something_is_marked() -> None:
    head = Selection("tracker", section="phase:Phase 1: Ground Truth Eval")
    assert label("mark", head) == "fold"
    assert label("mark", replace(head, marked_items=panel.TRACKER.items)) == "done ×3"
    both = replace(head, marked_items=panel.TRACKER.items[:2], marked_models=panel.TRACKER.models)
    assert label("mark", both) == "done ×2"
    assert label("mark", replace(both, section="section:General VLMs - Tier 1")) == "done ×6"


def test_marks_do_not_reach_into_other_panes() -> None:
    assert label("evaluate", Selection("queue", run=panel.RUNNING, marked_models=panel.TRACKER.models)) == "evaluate"


def test_a_proposal_is_the_first_thing_in_the_footer() -> None:
    ids = [command.id for command in footer_commands(Selection("tracker", model=MODEL, proposal=PROPOSAL))]
    assert ids[0] == "proposal"
