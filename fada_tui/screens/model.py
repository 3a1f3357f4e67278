"""The detail view: everything known of one model, kept up to date while it is open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType

from db.tracker.rows import Model
from fada_tui.commands import jobs, tracking
from fada_tui.screens.known import Known, read_known
from fada_tui.screens.live import LiveScreen
from fada_tui.screens.modelrows import known_rows
from fada_tui.widgets.line import Row

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

# Cut between two keys at 80 columns.
_KEYS = "esc · s status · n note · A alias · p proposal · e eval · f fine-tune · u undo · y copy · d download"


class ModelScreen(LiveScreen):
    """The keys act on this model, whatever the dashboard's cursor or marks say.

    Args:
        panel: The dashboard under it, which its commands go through.
        model: The model; it is read by name each time.
        memory_total: Bytes of the card, or of main memory where there is none.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("s", "act('status')", "status"),
        ("n", "act('note')", "note"),
        ("e", "act('evaluate')", "evaluate"),
        ("f", "act('finetune')", "fine-tune"),
        ("d", "act('download')", "download"),
        ("p", "act('proposal')", "proposal"),
        ("A", "act('alias')", "alias"),
        ("u", "act('undo')", "undo"),
        ("U", "act('redo')", "redo"),
    ]

    def __init__(self, panel: Dashboard, model: Model, memory_total: int | None) -> None:
        super().__init__(panel.panel_app.home, model.name, _KEYS)
        self._panel = panel
        self._model_name = model.name
        self._memory_total = memory_total

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> Known:
        return read_known(tracker, runs, self.home, self._model_name, self._memory_total)

    def rows(self, data: Any, width: int) -> list[Row]:
        return known_rows(data, width)

    def action_act(self, what: str) -> None:
        """A command on this model; nothing before it was read."""
        if isinstance(self.data, Known):
            _ACTIONS[what](self._panel, self.data)


def _status(panel: Dashboard, known: Known) -> None:
    tracking.choose_status(panel, (known.detail.model,), step=0)


def _note(panel: Dashboard, known: Known) -> None:
    tracking.write_note(panel, (known.detail.model,))


def _alias(panel: Dashboard, known: Known) -> None:
    tracking.write_alias(panel, known.detail.model)


def _proposal(panel: Dashboard, known: Known) -> None:
    if known.proposal is not None:
        tracking.decide(panel, known.detail.model, known.proposal)
    else:
        tracking.say_none(panel)


def _evaluate(panel: Dashboard, known: Known) -> None:
    jobs.evaluate_models(panel, (known.detail.model,))


def _finetune(panel: Dashboard, known: Known) -> None:
    jobs.finetune_model(panel, known.detail.model)


def _download(panel: Dashboard, known: Known) -> None:
    jobs.download_model(panel, known.detail.model)


_ACTIONS: dict[str, Callable[[Dashboard, Known], None]] = {
    "status": _status,
    "note": _note,
    "alias": _alias,
    "proposal": _proposal,
    "evaluate": _evaluate,
    "finetune": _finetune,
    "download": _download,
    "undo": lambda panel, known: tracking.undo(panel),
    "redo": lambda panel, known: tracking.redo(panel),
}
