"""Keeping the note and its file in step: what comes in, what goes out, and what a person has to settle."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from db.connect import connect
from db.home import Home
from db.tracker.merging.merge import Side
from db.tracker.sync import SyncPlan, SyncResult, plan_sync, sync_note
from fada_tui.commands.telling import brief
from fada_tui.format import count
from fada_tui.screens.full import FullScreen
from fada_tui.screens.syncrows import conflict_key, conflict_of, plan_rows
from fada_tui.sources.trouble import explain
from fada_tui.widgets.line import Row, wrap

_PLAIN = "enter does it · j k move · y copy · esc leaves it as it is"
_CHOOSE = "o ← ours · t → theirs · O T all · enter does it · esc leaves it as it is"


class SyncScreen(FullScreen):
    """Shows the plan; nothing is written until enter, and nothing at all while a conflict is not settled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o,left", "choose('ours')", "ours"),
        Binding("t,right", "choose('theirs')", "theirs"),
        Binding("O", "choose_all('ours')", "all ours"),
        Binding("T", "choose_all('theirs')", "all theirs"),
        Binding("enter", "apply", "do it"),
    ]

    @dataclass
    class Planned(Message):
        plan: SyncPlan

    @dataclass
    class Applied(Message):
        result: SyncResult

    @dataclass
    class Failed(Message):
        text: str
        hint: str | None

    def __init__(self, home: Home, path: Path) -> None:
        super().__init__(f"Sync with {path}", "esc back")
        self._home = home
        self._path = path
        self.plan: SyncPlan | None = None
        self.chosen: dict[int, Side] = {}
        self._busy = False

    def on_mount(self) -> None:
        self._begin()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _begin(self) -> None:
        """Read both sides; what was chosen of an earlier plan belongs to that."""
        self._busy = True
        self.chosen.clear()
        self.view.show([Row((("Reading the note and the file …", "dim"),))])
        self._read_plan()

    @work(thread=True, exit_on_error=False)
    def _read_plan(self) -> None:
        try:
            with closing(connect(self._home.fada_db, read_only=True)) as conn:
                self.post_message(self.Planned(plan_sync(conn, self._path)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
            self.post_message(self.Failed(*explain(error)))

    @work(thread=True, exit_on_error=False)
    def _apply(self, plan: SyncPlan, chosen: dict[int, Side]) -> None:
        try:
            with closing(connect(self._home.fada_db)) as conn:
                self.post_message(self.Applied(sync_note(conn, plan.path, "user", chosen or None, plan.fingerprint)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
            self.post_message(self.Failed(*explain(error)))

    @on(Planned)
    def _planned(self, event: Planned) -> None:
        self._busy, self.plan = False, event.plan
        self.keys.update(Content(_CHOOSE if event.plan.conflicts else _PLAIN))
        self._draw()

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        """What went wrong, in place of the plan; enter makes it anew."""
        self._busy, self.plan = False, None
        width = max(20, self.view.scrollable_content_region.width)
        rows = [Row(((text, "error"),)) for text in wrap(event.text, width)]
        rows += [Row(((text, ""),)) for text in wrap(f"→ {event.hint}", width)] if event.hint else []
        self.keys.update(Content("nothing was written · enter reads both again · esc back"))
        self.view.show(rows)

    @on(Applied)
    def _applied(self, event: Applied) -> None:
        said = "\n".join(brief(event.result.changed))
        self.app.notify(said or "nothing to do", title="Sync", markup=False, timeout=6)
        self.dismiss()

    def _draw(self) -> None:
        width = self.view.scrollable_content_region.width
        if self.plan is not None and width > 0:
            open_ones = len(self.plan.conflicts) - len(self.chosen)
            self.view.set_title(self._title_text, f"{count(open_ones, 'conflict')} to settle" if open_ones else "")
            self.view.show(plan_rows(self.plan, self.chosen, width))

    def action_choose(self, side: Side) -> None:
        """Settle the conflict under the cursor and go on to the next."""
        index = conflict_of(self.view.key)
        if self.plan is None or index is None:
            return
        self.chosen[index] = side
        self._draw()
        if index + 1 < len(self.plan.conflicts):
            self.view.choose(conflict_key(index + 1))

    def action_choose_all(self, side: Side) -> None:
        if self.plan is not None:
            self.chosen = dict.fromkeys(range(len(self.plan.conflicts)), side)
            self._draw()

    def action_apply(self) -> None:
        plan = self.plan
        if self._busy:
            return
        if plan is None:
            self._begin()
            return
        if not (plan.incoming or plan.outgoing or plan.conflicts or plan.creates):
            self.dismiss()
            return
        unsettled = [index for index in range(len(plan.conflicts)) if index not in self.chosen]
        if unsettled:
            self.view.choose(conflict_key(unsettled[0]))
            text = f"{count(len(unsettled), 'conflict')} to settle first: o keeps ours, t takes theirs"
            self.app.notify(text, title="Sync", severity="warning", markup=False, timeout=6)
            return
        self._busy = True
        self._apply(plan, dict(self.chosen))
