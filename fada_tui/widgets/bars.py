"""The line at the top that is worth a glance, and the line at the bottom with the keys that work right here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from fada_tui.commands.command import Command
from fada_tui.format import NA, count, percent, size_pair
from fada_tui.sources.views import RunList, Selection, TelemetryView
from fada_tui.widgets.braille import spark
from fada_tui.widgets.gpulines import short_name, utilisation
from fada_tui.widgets.line import Line, changed_columns, clip, cut, line_width, spread, strip_of
from fada_tui.widgets.theme import palette_of

if TYPE_CHECKING:
    from db.tracker.rows import Tracker
    from db.tracker.sync import SyncState

_PALETTE_FROM = 60


class OneLine(Widget):
    """One line that draws only the cells that changed."""

    ALLOW_SELECT = False
    auto_links = False
    DEFAULT_CSS = "OneLine { height: 1; }"

    line: reactive[Line] = reactive((), repaint=False)

    def watch_line(self, old: Line, new: Line) -> None:
        columns = changed_columns(old, new)
        if columns:
            self.refresh(Region(columns[0], 0, columns[1] - columns[0], 1))

    def render_line(self, y: int) -> Strip:
        return strip_of(self.line, self.size.width, palette_of(self.app), "surface")

    def on_resize(self) -> None:
        self.rebuild()

    def rebuild(self) -> None:
        """Set ``line`` for the width that there is."""
        raise NotImplementedError


class TopBar(OneLine):
    """Counts at the left, the card (or host) at the right; trouble with the data takes the place of both."""

    tracker: reactive[Tracker | None] = reactive(None, repaint=False, always_update=True)
    runs: reactive[RunList] = reactive(RunList, repaint=False)
    telemetry: reactive[TelemetryView] = reactive(TelemetryView, repaint=False)
    trouble: reactive[str | None] = reactive(None, repaint=False)
    proposals: reactive[int] = reactive(0, repaint=False)
    """How many wait to be accepted."""
    errors: reactive[int] = reactive(0, repaint=False)
    """That were said and not yet looked up."""
    note_file: reactive[SyncState | None] = reactive(None, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._models = ""
        self.key: Callable[[str], str] = str
        """How the key of a command is written."""

    def watch_tracker(self, tracker: Tracker | None) -> None:
        # Counted once and not at every sample of the machine: there may be 100,000.
        models = [model for model in tracker.models if not model.absent] if tracker else []
        tested = sum(model.is_tested for model in models)
        self._models = f"  {count(len(models), 'model')} · {tested:,} tested" if tracker else ""
        self.rebuild()

    def watch_proposals(self) -> None:
        self.rebuild()

    def watch_errors(self) -> None:
        self.rebuild()

    def watch_note_file(self) -> None:
        self.rebuild()

    def watch_runs(self) -> None:
        self.rebuild()

    def watch_telemetry(self) -> None:
        self.rebuild()

    def watch_trouble(self) -> None:
        self.rebuild()

    def rebuild(self) -> None:
        width = self.size.width
        if width <= 0 or not self.is_attached:
            return
        if self.trouble:
            self.line = clip(((" ⚠ ", "alarm"), (self.trouble, "alarm")), width)
            return
        alert = self._alert(width)
        left = self._counts(width - line_width(alert))
        end = (*alert, *self._machine(width - line_width(left) - line_width(alert) - 2))
        self.line = spread(left, end, width)

    def _alert(self, width: int) -> Line:
        """The newest alert and how many more; it leaves a third of the line to what is running."""
        alerts = self.telemetry.alerts
        if not alerts:
            return ()
        more = f" (+{len(alerts) - 1})" if len(alerts) > 1 else ""
        room = max(12, width * 2 // 3 - len(more) - 4)
        return ((f"⚠ {cut(alerts[0].text, room)}{more}  ", "alarm"),)

    def _counts(self, width: int) -> Line:
        """What there is to do stays; where there is no room for all, what is nought goes first, then the models."""
        running, waiting = len(self.runs.active), len(self.runs.waiting)
        name: Line = ((" FADA v3", "key"),)
        models: Line = ((self._models, ""),)
        counts: Line = ((f" · {running} running", "running" if running else "dim"),)
        counts += ((f" · {waiting} queued", "" if waiting else "dim"),)
        to_do: Line = (
            ((f" · {count(self.proposals, 'proposal')} {self.key('proposal')}", "running"),) if self.proposals else ()
        )
        if self.note_file is not None and self.note_file.state != "same":
            to_do += ((f" · note ≠ file {self.key('sync')}", "alarm"),)
        if self.errors:
            to_do += ((f" · {count(self.errors, 'error')} {self.key('messages')}", "alarm"),)
        few = tuple(span for span in counts if span[1] != "dim")
        whole = [(*name, *models, *counts, *to_do), (*name, *models, *few, *to_do), (*name, *few, *to_do)]
        return next((line for line in whole if line_width(line) <= width), whole[-1])

    def _machine(self, room: int) -> Line:
        """As much as fits, the most important first; never cut in the middle."""
        newest = self.telemetry.newest
        if newest is None:
            return ()
        if newest.gpus:
            gpu = next((one for one in newest.gpus if one.reason is None), newest.gpus[0])
            history = utilisation(self.telemetry.samples, gpu.index)
            name = short_name(gpu.name) + (f" +{len(newest.gpus) - 1}" if len(newest.gpus) > 1 else "")
            parts = [
                percent(gpu.utilisation),
                size_pair(gpu.memory_used, gpu.memory_total),
                NA if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C",
                NA if gpu.power_w is None else f"{gpu.power_w:.0f} W",
            ]
        else:
            host = newest.host
            history = [sample.host.cpu or 0.0 for sample in self.telemetry.samples]
            name = "no GPU"
            parts = [f"cpu {percent(host.cpu)}", size_pair(host.memory_used, host.memory_total)]
        # Each figure is its own span of a fixed width, so that one that changes does not send the others again.
        spans: list[tuple[str, str]] = [(name, "dim")]
        for part in parts:
            spans.append((f"  {part:>4}", ""))
        # At rest there is no line that would grow by a cell a second until it is as long as it can be.
        spans += [("  ", ""), ((spark(history, 6) if any(history[-6:]) else "").rjust(6), "graph"), (" ", "")]
        while len(spans) > 1 and line_width(tuple(spans)) > room:
            spans.pop()
        return tuple(spans) if line_width(tuple(spans)) <= room else ()


class KeyBar(OneLine):
    """The commands that work right here, as many as fit; each can be clicked."""

    class Pressed(Message):
        def __init__(self, command: Command) -> None:
            super().__init__()
            self.command = command

    commands: reactive[tuple[Command, ...]] = reactive((), repaint=False)
    selection: reactive[Selection] = reactive(Selection, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places: list[tuple[int, int, Command]] = []

    def watch_commands(self) -> None:
        self.rebuild()

    def rebuild(self) -> None:
        width = self.size.width
        if width <= 0 or not self.is_attached:
            return
        self.line, self._places = _laid_out(self.commands, width)

    def on_click(self, event: events.Click) -> None:
        for start, end, command in self._places:
            if start <= event.x < end:
                self.post_message(self.Pressed(command))
                return


def _laid_out(commands: Sequence[Command], width: int) -> tuple[Line, list[tuple[int, int, Command]]]:
    """Whole entries only; help and quit always, and the palette where there is room for more than these."""
    always = ("palette", "help", "quit") if width >= _PALETTE_FROM else ("help", "quit")
    keep = [command for command in commands if command.id in always]
    room = width - sum(_entry_width(command) for command in keep)
    shown: list[Command] = []
    for command in commands:
        if command in keep:
            continue
        if _entry_width(command) > room:
            break
        room -= _entry_width(command)
        shown.append(command)
    spans: list[tuple[str, str]] = []
    places: list[tuple[int, int, Command]] = []
    at = 0
    for command in [command for command in commands if command in shown or command in keep]:
        spans += [(f" {command.key} ", "key"), (f"{command.label} ", "dim")]
        places.append((at, at + _entry_width(command), command))
        at += _entry_width(command)
    return tuple(spans), places


def _entry_width(command: Command) -> int:
    return len(command.key) + len(command.label) + 3
