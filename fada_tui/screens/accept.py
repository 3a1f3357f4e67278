"""What a finished run proposes for a model: taken over, dismissed or left for later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from db.tracker.proposals import proposed_notes
from db.tracker.rows import Model, Proposal
from fada_tui.text import as_meant, printable


@dataclass(frozen=True)
class Decision:
    """``accepted`` false dismisses the proposal. ``notes`` is the cell as it will be; None leaves it."""

    accepted: bool
    notes: str | None = None


class AcceptScreen(ModalScreen[Decision | None]):
    """Shows what would be written; nothing is until enter. None when it was left for later."""

    auto_links = False
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "later"),
        Binding("enter", "accept", "accept"),
        Binding("d", "refuse", "dismiss"),
        Binding("n,tab", "edit", "edit notes"),
    ]

    def __init__(self, model: Model, proposal: Proposal) -> None:
        super().__init__()
        self._model = model
        self._proposal = proposal
        self._notes = proposed_notes(model, proposal)

    def compose(self) -> ComposeResult:
        proposal = self._proposal
        ended = f"{datetime.fromtimestamp(proposal.ended):%Y-%m-%d %H:%M}"
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = Content(printable(f"Run #{proposal.run} proposes for {proposal.model}"))
            yield from _fact("Run", f"#{proposal.run} {proposal.task}, ended {ended}")
            yield from _fact("Score", proposal.words or "none")
            yield from _fact("Status", f"{self._model.status} → {proposal.status}")
            with Horizontal(classes="field"):
                yield Label(Content("Notes"))
                yield Input(value=printable(self._notes), id="notes", select_on_focus=False)
            for alarm in proposal.alarms:
                yield Static(Content(printable(f"⚠ {alarm}")), classes="alarm")
            yield Label(Content("enter accepts · n edits the notes · d dismisses it · esc later"), classes="help")

    @on(Input.Submitted)
    def action_accept(self) -> None:
        written = self.query_one("#notes", Input).value
        # What cannot be shown as it is must not be written as it is shown.
        notes = as_meant(self._notes, written)
        kept = written == printable(self._model.notes or "")
        self.dismiss(Decision(True, None if kept else notes if notes == self._notes else notes.strip()))

    def action_refuse(self) -> None:
        self.dismiss(Decision(False))

    def action_edit(self) -> None:
        self.set_focus(self.query_one("#notes", Input))

    def action_leave(self) -> None:
        self.dismiss(None)


def _fact(label: str, text: str) -> ComposeResult:
    with Horizontal(classes="field"):
        yield Label(Content(label))
        yield Static(Content(printable(text)), classes="value")
