"""What lies on the disk, by kind and by run, and making room: the figures of `fada disk` and `fada prune`."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on, work
from textual.binding import BindingType
from textual.message import Message

from backends.jobs.disk import DiskUse, RunUse, disk_use
from backends.telemetry.host import disk_free
from db.connect import connect
from db.runs.queries import list_runs
from db.runs.rows import Run
from fada_tui.commands import steering
from fada_tui.format import count, size
from fada_tui.screens.confirm import Choice, ConfirmScreen
from fada_tui.screens.full import FullScreen
from fada_tui.sources.trouble import explain
from fada_tui.widgets.line import Line, Row, clip, left, line_width, right, spread, wrap
from fada_tui.widgets.status import named, state_span, what

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

_KEYS = "p prune this run · P prune all · d delete · r look again · ? keys · esc back"
_SIZE = 10
_NAME = 28
_PRUNE_FROM = 60
_HELD = 21
"""Cells that the commonest kind takes with the space before it, for which a name may be shortened to these:"""
_SHORTENED = 20


@dataclass(frozen=True)
class Looked:
    """What was found, and when; ``free`` bytes are left on HOME's disk."""

    use: DiskUse
    runs: dict[int, Run]
    free: int | None
    at: float


class DiskScreen(FullScreen):
    """Every run's directory is read: once at first, after each removal, and when it is asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("p", "prune", "prune"),
        ("P", "prune_all", "prune all"),
        ("d", "delete", "delete"),
        ("r", "again", "look again"),
    ]

    @dataclass
    class Known(Message):
        looked: Looked

    @dataclass
    class Failed(Message):
        text: str

    def __init__(self, panel: Dashboard) -> None:
        super().__init__("Disk", _KEYS)
        self._panel = panel
        self._home = panel.panel_app.home
        self.looked: Looked | None = None

    def on_mount(self) -> None:
        self.view.show([Row((("Reading every run's directory …", "dim"),))])
        self._look()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    @work(thread=True, exit_on_error=False, group="disk", exclusive=True)
    def _look(self) -> None:
        try:
            with closing(connect(self._home.runs_db, read_only=True)) as conn:
                runs = {run.id: run for run in list_runs(conn)}
                use = disk_use(conn, self._home)
            self.post_message(self.Known(Looked(use, runs, disk_free(self._home.root), time.time())))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
            self.post_message(self.Failed(explain(error)[0]))

    @on(Known)
    def _known(self, event: Known) -> None:
        self.looked = event.looked
        self._draw()

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self.looked = None
        self.view.show([Row(((f"It cannot be looked at: {event.text}", "error"),))])

    def _draw(self) -> None:
        width = self.view.scrollable_content_region.width
        if self.looked is None or width <= 0:
            return
        self.view.set_title("Disk", f"as of {time.strftime('%H:%M:%S', time.localtime(self.looked.at))}")
        self.view.show(disk_rows(self.looked, width))

    @property
    def chosen(self) -> RunUse | None:
        """The run under the cursor."""
        uses = self.looked.use.runs if self.looked else ()
        return next((use for use in uses if f"run:{use.run}" == self.view.key), None)

    def action_again(self) -> None:
        self._look()

    def action_prune(self) -> None:
        use = self.chosen
        if use is None:
            return
        if not use.prunable:
            self.app.notify("nothing of it would be pruned", title=f"#{use.run}", markup=False, timeout=4)
            return
        self._ask(f"Prune #{use.run}?", use.prunable, [use.run])

    def action_prune_all(self) -> None:
        if self.looked is None:
            return
        found = self.looked.use
        if not found.prunable:
            self.app.notify("nothing would be pruned", title="Prune", markup=False, timeout=4)
            return
        self._ask("Prune every run?", found.prunable, None)

    def _ask(self, question: str, freed: int, runs: list[int] | None) -> None:
        consequence = (
            f"It frees {size(freed)}: checkpoints of fine-tunes that are over. The best and the last of each stay, "
            "so that it can still be resumed; what it left (adapter, model), scores and log stay too."
        )

        def answered(key: str | None) -> None:
            if key is not None:
                steering.prune(self._panel, runs, self._done)

        self.app.push_screen(ConfirmScreen(question, consequence, Choice("y", "prune")), answered)

    def action_delete(self) -> None:
        if self.chosen is None or self.looked is None:
            return
        run = self.looked.runs.get(self.chosen.run)
        if run is None or not run.is_over:
            said = "is not over: end it first" if run else "is no run that the index knows: `fada reindex` first"
            self.app.notify(said, title=f"#{self.chosen.run}", severity="warning", markup=False, timeout=6)
            return
        steering.delete_run(self._panel, run, self._done)

    def _done(self) -> None:
        """Called in a worker's thread: look again, unless the screen was left meanwhile."""
        if self.is_attached:
            self.app.call_from_thread(self._look)


def disk_rows(looked: Looked, width: int) -> list[Row]:
    """By kind, what a prune would free, then each run, the largest first."""
    use = looked.use
    kinds = "   ".join(f"{kind} {size(taken)}" for kind, taken in use.kinds.items() if taken)
    said = f"{size(use.total)} in all, {size(looked.free)} free on the disk"
    rows = [Row(((text, "title"),)) for text in wrap(said, width)]
    rows += [Row(((text, ""),)) for text in wrap(kinds, width)]
    rows += [Row(((text, "running" if use.prunable else "dim"),)) for text in wrap(_prunable(use), width)]
    rows.append(Row(()))
    labels = [cell_len(looked.runs[one.run].label) for one in use.runs if one.run in looked.runs]
    name = min(_NAME, max([9, *labels]))
    prunes = bool(use.prunable) and width >= _PRUNE_FROM
    return rows + [_row(one, looked.runs.get(one.run), name, width, prunes=prunes) for one in use.runs]


def _prunable(use: DiskUse) -> str:
    if not use.prunable:
        return "P would free nothing: no checkpoints but the best and the last of each fine-tune"
    runs = sum(bool(one.prunable) for one in use.runs)
    left_over = f", and {size(use.left)} left by what was killed" if use.left else ""
    return f"P would free {size(use.prunable)}: checkpoints of {count(runs, 'run')}, but best and last{left_over}"


def _row(use: RunUse, run: Run | None, names: int, width: int, *, prunes: bool) -> Row:
    """``prunes``: there is a column of what a prune of each would free."""
    sign, token = state_span(run) if run is not None else ("?", "dim")
    begin: Line = ((f"{sign} ", token), (left(f"#{use.run}", 6), "dim"))
    tail: Line = ((right(size(use.total), _SIZE), ""),)
    if prunes:
        prune = f"prune {size(use.prunable)}" if use.prunable else ""
        tail += ((right(prune, 16), "running"),)
    begin += ((left(what(run) if run else "", 9) + " ", "dim"),)
    room = max(1, width - line_width(begin) - line_width(tail) - 1)
    if room >= _HELD + _SHORTENED:
        names = min(names, room - _HELD)
    name = left(named(run, min(names, room)) if run else "not a run", names)
    put_away = "archived, " if run is not None and run.archived else ""
    held = _held(use, room - cell_len(name) - cell_len(put_away) - 2)
    said = clip(((name, "" if run else "dim"), (f"  {put_away}{held}", "dim")), room)
    return Row(spread((*begin, *said), tail, width), f"run:{use.run}")


def _held(use: RunUse, room: int) -> str:
    """The kinds that take the most, as many as there is room for: half a figure says nothing."""
    said = ""
    for kind, taken in sorted(use.kinds.items(), key=lambda one: -one[1])[:3]:
        longer = f"{said}, {kind} {size(taken)}" if said else f"{kind} {size(taken)}"
        if cell_len(longer) > room:
            break
        said = longer
    return said
