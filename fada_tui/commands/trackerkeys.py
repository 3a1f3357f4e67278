"""The commands of the Tracker pane."""

from __future__ import annotations

from collections.abc import Callable

from fada_tui.commands import tracking, view
from fada_tui.commands.command import Command, Need
from fada_tui.commands.targets import items_of, marked_or_chosen, models_of, times
from fada_tui.sources.views import Selection

_TRACK = "Tracker"


_section = Need(lambda selection: selection.section is not None, "the cursor on a section's head in the Tracker")
_model = Need(lambda selection: selection.model is not None, "the cursor on a model in the Tracker")
_any_model = Need(
    lambda selection: selection.model is not None or selection.absent is not None,
    "the cursor on a model in the Tracker",
)
_models = Need(
    lambda selection: bool(marked_or_chosen(selection)),
    "a model (or its checklist item) under the cursor, or marked ones",
)
_any_row = Need(
    lambda selection: selection.model is not None or selection.item is not None or selection.section is not None,
    "the cursor on a row of the Tracker",
)
_proposal = Need(
    lambda selection: selection.model is not None and selection.proposal is not None,
    "the cursor on a model that a run proposes something for",
)
_no_proposal = Need(
    lambda selection: not _proposal(selection), "a row without a proposal: p shows the one that is here"
)


def _space(selection: Selection) -> str:
    """What space does: ticks, steps on or folds."""
    number = len(items_of(selection)) or len(models_of(selection))
    return times("done", number) if number else "fold"


def _count(word: str) -> Callable[[Selection], str]:
    """``status``, of several models ``status ×3``."""
    return lambda selection: times(word, len(marked_or_chosen(selection)))


_row = Need(
    lambda selection: (selection.pane == "queue" and selection.run is not None) or selection.item is not None,
    "the cursor on a checklist item or a job",
)


TRACKING = (
    Command(
        "mark",
        ("space",),
        "done",
        "Toggle a checklist item's box, choose a model's next status; of all marked rows at once",
        _TRACK,
        tracking.mark,
        ("tracker",),
        _any_row,
        footer=10,
        named=_space,
    ),
    Command(
        "fold", ("enter",), "fold", "Fold or unfold a section", _TRACK, view.fold, ("tracker",), _section, palette=False
    ),
    Command(
        "details",
        ("enter",),
        "details",
        "Everything known of a model",
        _TRACK,
        view.details,
        ("tracker",),
        _any_model,
        footer=27,
    ),
    Command(
        "open",
        ("enter",),
        "open",
        "Toggle the box, or show the job",
        _TRACK,
        view.open_row,
        ("tracker", "queue"),
        _row,
        palette=False,
    ),
    Command(
        "fold-all",
        ("minus",),
        "Fold all",
        "Fold every section and phase, or unfold them",
        _TRACK,
        view.fold_all,
        ("tracker",),
    ),
    Command(
        "proposal",
        ("p",),
        "proposal",
        "Take over or dismiss what a finished run proposes for the model",
        _TRACK,
        tracking.proposal,
        ("tracker",),
        _proposal,
        footer=8,
    ),
    Command(
        "next-proposal",
        ("p",),
        "Next proposal",
        "Go to the next model that a finished run proposes something for",
        _TRACK,
        tracking.next_proposal,
        ("tracker",),
        _no_proposal,
    ),
    Command(
        "status",
        ("s",),
        "status",
        "Choose the status of a model, or of all that are marked",
        _TRACK,
        tracking.status,
        ("tracker",),
        _models,
        footer=40,
        named=_count("status"),
    ),
    Command(
        "note",
        ("n",),
        "note",
        "Write the note of a model, or of all that are marked",
        _TRACK,
        tracking.note,
        ("tracker",),
        _models,
        footer=45,
        named=_count("note"),
    ),
    Command(
        "add", ("a",), "add", "Add a model to a section of the note", _TRACK, tracking.add, ("tracker",), footer=46
    ),
    Command(
        "record",
        (),
        "Record",
        "Write training time and export sizes measured here into the note's tables",
        _TRACK,
        tracking.record_measured,
        ("tracker",),
        _model,
    ),
    Command(
        "alias",
        ("A",),
        "Alias",
        "Give a model another name, or take one away",
        _TRACK,
        tracking.alias,
        ("tracker",),
        _model,
    ),
    Command(
        "select",
        ("m",),
        "mark",
        "Mark a row to act on several at once; on a head, all under it",
        _TRACK,
        view.select,
        ("tracker",),
        _any_row,
        footer=42,
    ),
    Command("undo", ("u",), "undo", "Take back the last change of the tracker", _TRACK, tracking.undo),
    Command("redo", ("U",), "redo", "Make the change that was taken back again", _TRACK, tracking.redo),
    Command("history", ("H",), "History", "Who changed what and when", _TRACK, view.history),
    Command(
        "filter",
        ("slash",),
        "filter",
        "Show only models and items that fit some words, roughly spelt",
        _TRACK,
        view.filter_rows,
        footer=50,
    ),
    Command("order", ("o",), "order", "Sort the models by a column", _TRACK, view.order, ("tracker",), footer=51),
    Command(
        "stats", ("t",), "Stats", "The summary's figures, stated and computed, and what is covered", _TRACK, view.stats
    ),
    Command("sync", ("S",), "Sync", "Bring the note and its file together, both ways", _TRACK, view.sync),
)
