"""The GPU pane: each card with its memory by owner, or the host and the jobs' memory where there is no card.

Zoomed it shows the history of hours and days, the processes and what else the card tells.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from textual.reactive import reactive

from fada_tui.sources.views import TelemetryView
from fada_tui.widgets.gpuhistory import NAMES, SPANS, history_lines, recorded
from fada_tui.widgets.gpulines import (
    WHAT_IT_TAKES,
    brief_lines,
    card_lines,
    details,
    graph,
    host_line,
    host_lines,
    trouble_lines,
    utilisation,
)
from fada_tui.widgets.line import Line, Row, clip, wrap
from fada_tui.widgets.lineview import LineView

if TYPE_CHECKING:
    from backends.telemetry.sample import Gpu, Telemetry

_GRAPHS = 10
"""Lines for a card's history, where the screen has them."""


class GpuPane(LineView):
    """No row of it can be chosen; the arrows scroll."""

    telemetry: reactive[TelemetryView] = reactive(TelemetryView, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.zoomed = False
        self._place = 1

    @property
    def span(self) -> float:
        """Seconds that the zoomed pane's history reaches back."""
        return SPANS[self._place]

    def change_span(self, by: int) -> None:
        """A longer (1) or a shorter (-1) time."""
        self._place = max(0, min(len(SPANS) - 1, self._place + by))
        self.watch_telemetry()

    def zoom(self, zoomed: bool) -> None:
        if zoomed != self.zoomed:
            self.zoomed = zoomed
            self.watch_telemetry()

    def watch_telemetry(self) -> None:
        newest = self.telemetry.newest
        host = newest is not None and not newest.gpus
        said = [f"replay {self.telemetry.replay}"] if self.telemetry.replay else []
        said += [f"last {NAMES[self._place]}"] if self.zoomed else []
        self.set_title("3 Host" if host else "3 GPU", "  ".join(said))
        self.rebuild()

    def build(self, width: int, height: int) -> list[Row]:
        newest = self.telemetry.newest
        if newest is None:
            return [Row((("Waiting for the first sample …", "dim"),))]
        lines = self._zoomed(newest, width, height) if self.zoomed else self._plain(newest, width, height)
        return [Row(clip(line, width)) for line in lines]

    def _plain(self, newest: Telemetry, width: int, height: int) -> list[Line]:
        return self._cards(newest, width, height) if newest.gpus else self._host(newest, width, height)

    def _cards(self, newest: Telemetry, width: int, height: int) -> list[Line]:
        """With room to spare the rest is history; several cards that do not fit are told in brief. The host is last."""
        cards = [card_lines(gpu, width, self._seen(gpu)) for gpu in newest.gpus]
        last = [*self._silence(newest, width), host_line(newest.host, width)]
        if len(cards) > 1 and sum(map(len, cards)) + len(last) > height:
            return [*chain.from_iterable(brief_lines(gpu, width) for gpu in newest.gpus), *last]
        room = max(0, height - 2) // max(1, len(newest.gpus))
        lines: list[Line] = []
        for gpu, own in zip(newest.gpus, cards, strict=True):
            plot = (
                []
                if gpu.reason
                else graph(utilisation(self.telemetry.samples, gpu.index), width, min(6, room - len(own)))
            )
            lines += [*own, *plot]
        return [*lines, *last]

    def _silence(self, newest: Telemetry, width: int) -> list[Line]:
        if newest.silent_s is None or newest.reason is None:
            return []
        return [((text, "error"),) for text in wrap(newest.reason, width, limit=2)]

    def _seen(self, gpu: Gpu) -> Telemetry | None:
        """The last sample in which a card answered that does not now."""
        if gpu.reason is None:
            return None
        for sample in reversed(self.telemetry.samples):
            if any(one.index == gpu.index and one.reason is None for one in sample.gpus):
                return sample
        return None

    def _host(self, newest: Telemetry, width: int, height: int) -> list[Line]:
        lines = [*host_lines(newest.host, width)]
        said = self._no_card(newest, width, max(2, min(6, height - len(lines) - 1)))
        return [*lines, *self._minutes(None, width, min(height - len(lines) - len(said), 8)), *said]

    def _no_card(self, newest: Telemetry, width: int, limit: int) -> list[Line]:
        """Why there is none, and what it would take."""
        reason = newest.reason or "no NVIDIA driver answers"
        token = "error" if newest.silent_s is not None else "dim"
        said: list[Line] = [((text, token),) for text in wrap(f"No GPU: {reason}", width, limit=limit)]
        if reason.startswith("no NVIDIA driver") and limit > len(said):
            said += [((text, "dim"),) for text in wrap(f"→ {WHAT_IT_TAKES}", width, limit=limit - len(said))]
        return said

    def _zoomed(self, newest: Telemetry, width: int, height: int) -> list[Line]:
        """Everything there is; what does not fit is scrolled to."""
        view = self.telemetry
        xids = [xid for sample in view.samples for xid in sample.xids]
        lines = trouble_lines(view.alerts, xids, width)
        if not newest.gpus:
            lines += [*host_lines(newest.host, width), ()]
            lines += self._long(None, width, height - len(lines) - 4)
            return [*lines, (), *self._no_card(newest, width, 6)]
        for gpu in newest.gpus:
            own = [*card_lines(gpu, width, self._seen(gpu)), *details(gpu, width)]
            spare = height // len(newest.gpus) - len(own) - 3
            lines += [*own, *self._long(gpu.index, width, max(_GRAPHS, min(spare, 26))), ()]
        return [*lines, *self._silence(newest, width), host_line(newest.host, width)]

    def _long(self, gpu: int | None, width: int, height: int) -> list[Line]:
        history = self.telemetry.history
        if history is None:
            return [(("Reading …", "dim"),)]
        if not recorded(history, gpu):
            return [*history_lines(history, gpu, width, height), *self._minutes(gpu, width, min(6, height - 1))]
        return history_lines(history, gpu, width, height)

    def _minutes(self, gpu: int | None, width: int, height: int) -> list[Line]:
        """What this panel has seen by itself, where nothing was recorded."""
        if gpu is not None:
            return graph(utilisation(self.telemetry.samples, gpu), width, height)
        return graph([sample.host.cpu or 0.0 for sample in self.telemetry.samples], width, height)
