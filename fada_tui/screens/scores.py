"""Every score of a run, with what it takes to believe it, in figures and in plots."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from db.home import Home
from db.runs.rows import Run
from fada_tui.screens import scorerows as lines
from fada_tui.screens.besiderows import beside_rows
from fada_tui.screens.live import LiveScreen
from fada_tui.sources.scoreview import ScoreSource, ScoreView
from fada_tui.widgets.line import Row
from fada_tui.widgets.status import what

_KEYS = "j k scroll · m metric · tab next plot · y copy · ? keys · esc back"


class ScoresScreen(LiveScreen):
    """Live while the run goes on; `m` plots another metric, `tab` goes from plot to plot."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric(1)", "metric"),
        Binding("M", "metric(-1)", "metric before"),
        Binding("tab", "section(1)", "next plot"),
        Binding("shift+tab", "section(-1)", "plot before"),
    ]

    def __init__(self, home: Home, run: Run) -> None:
        super().__init__(home, f"Scores of #{run.id} {what(run)} {run.label}", _KEYS)
        self._run = run
        self._source = ScoreSource(home, run.id)
        self._metric: str | None = None
        self._heads: list[int] = []

    def read(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> ScoreView:
        return self._source.read(runs)

    @property
    def metric(self) -> str | None:
        """The chosen one while it is there, else the first."""
        metrics = _plotted(self.data) if isinstance(self.data, ScoreView) else ()
        return self._metric if self._metric in metrics else metrics[0] if metrics else None

    def rows(self, data: Any, width: int) -> list[Row]:
        assert isinstance(data, ScoreView)
        metric = self.metric
        if data.run is None:
            return [Row(((f"#{self._run.id} was deleted.", "error"),)), Row((("esc goes back", "dim"),))]
        metrics = _plotted(data)
        self.view.set_title(
            self._title_text, f"{metric}, {len(metrics)} metrics: m" if len(metrics) > 1 else metric or ""
        )
        rows = lines.alarm_rows(data.alarms(), width)
        rows += [Row(())] if rows else []
        if metric is None:
            said = "It left no scores." if data.run.is_over else "No scores yet."
            return [*rows, Row(((said, "dim"),)), *lines.flatness_rows(data.flatness, width)]
        rows += lines.overall_rows(data.final or data.held_out[-1:], width)
        parts = [lines.held_out_rows(data, metric, width)]
        parts += [lines.group_rows(data.final, metric, over, width) for over in ("category", "question")]
        parts.append(lines.own_rows(data.final, metric, width))
        parts.append(beside_rows(data.published, bool(data.alarms()), width))
        if data.run.kind == "eval" and data.run.is_over:
            parts.append(lines.histogram_rows(data.counts, metric, width))
        parts.append(lines.flatness_rows(data.flatness, width))
        parts.append(lines.table_rows(data.final or data.held_out, width))
        self._heads = [0]
        for part in parts:
            if part:
                self._heads.append(len(rows) + 1)
                rows += part
        return rows

    def action_metric(self, steps: int) -> None:
        metrics = _plotted(self.data) if isinstance(self.data, ScoreView) else ()
        if metrics and self.metric is not None:
            self._metric = metrics[(metrics.index(self.metric) + steps) % len(metrics)]
            self.draw()

    def action_section(self, steps: int) -> None:
        """The next head below the top of the screen, or the last one above it."""
        top = self.view.scroll_offset.y
        beyond = [at for at in self._heads if (at > top if steps > 0 else at < top)]
        if beyond:
            self.view.scroll_to(y=min(beyond) if steps > 0 else max(beyond), animate=False)


def _plotted(view: ScoreView) -> tuple[str, ...]:
    """Metrics of everything: those of single questions have a plot of their own."""
    overall = [one for one in (*view.final, *view.held_out) if one.question is None and one.category is None]
    return tuple(dict.fromkeys(one.metric for one in overall)) or view.metrics
