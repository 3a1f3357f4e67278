"""Deleting a run: what that frees, and what could not be repeated without it, before anything is lost."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from textual import on, work
from textual.message import Message

from backends.jobs.disk import RunUse, run_use
from backends.jobs.inputs import users_of
from db.connect import connect
from db.home import Home
from db.runs.rows import Run
from fada_tui.format import size
from fada_tui.screens.confirm import Choice, ConfirmScreen
from fada_tui.sources.trouble import explain
from fada_tui.widgets.status import what


class DeleteScreen(ConfirmScreen):
    """Answers only once it has said what lies in the run's directory."""

    @dataclass
    class Known(Message):
        use: RunUse
        users: tuple[int, ...]

    @dataclass
    class Failed(Message):
        text: str

    def __init__(self, home: Home, run: Run) -> None:
        super().__init__(
            f"Delete #{run.id} {what(run)} {run.label}?",
            "looking what lies in its directory …",
            Choice("y", "delete it"),
        )
        self._home = home
        self._run = run
        self.users: tuple[int, ...] | None = None
        """Runs that used what it left; None until that is known."""

    def on_mount(self) -> None:
        self._look()

    def may_answer(self) -> bool:
        return self.users is not None

    @work(thread=True, exit_on_error=False)
    def _look(self) -> None:
        try:
            with closing(connect(self._home.runs_db, read_only=True)) as conn:
                live, over = users_of(conn, self._home, self._run.id)
                self.post_message(self.Known(run_use(conn, self._home, self._run.id), (*live, *over)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
            self.post_message(self.Failed(explain(error)[0]))

    @on(Known)
    def _known(self, event: Known) -> None:
        self.users = event.users
        kinds = sorted(event.use.kinds.items(), key=lambda one: -one[1])
        held = ", ".join(f"{kind} {size(taken)}" for kind, taken in kinds)
        lines = [f"It frees {size(event.use.total)}" + (f": {held}." if held else ".")]
        instead = "" if self._run.archived else " X puts it away instead."
        lines.append(f"Its log, answers and scores go too; its number is not used again.{instead}")
        if event.users:
            names = ", ".join(f"#{run}" for run in event.users)
            lines.append(f"⚠ {names} used what it left and could not be repeated without it.")
        self.say(*lines)

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self.say(f"It cannot be looked at: {event.text}")
