"""The Queue pane: what runs, what waits and why, what is over."""

from __future__ import annotations

from rich.cells import cell_len
from textual.reactive import reactive

from db.runs.rows import Run, Score
from fada_tui.format import duration, percent, rate, score
from fada_tui.sources.views import RunList
from fada_tui.widgets.braille import bar
from fada_tui.widgets.line import Line, Row, clip, left, line_width, right, spread
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import headline_score, named, state_span, waiting_for, what

_RATE_FROM = 76
_FIRST = (("e", "evaluate a model"), ("f", "fine-tune it"), ("D", "demo on synthetic data"))


class QueuePane(LineView):
    """Keys of its rows: ``run:ID``."""

    runs: reactive[RunList] = reactive(RunList, repaint=False)

    def watch_runs(self) -> None:
        self.rebuild()

    def build(self, width: int, height: int) -> list[Row]:
        runs = self.runs
        if not runs.runs:
            return [
                Row((("Nothing queued or run yet.", "dim"),)),
                *(Row(((f"{key}  ", "key"), (text, "dim"))) for key, text in _FIRST),
            ]
        by_run: dict[int, list[Score]] = {}
        for one in runs.scores:
            if one.run is not None:
                by_run.setdefault(one.run, []).append(one)
        digits = max(len(str(run.id)) for run in runs.runs)
        rows = [self._row(run, _live(run, width), digits, width) for run in runs.active]
        rows += [self._row(run, ((waiting_for(run), "dim"),), digits, width) for run in runs.waiting]
        if rows and runs.over:
            rows.append(Row((("─ over " + "─" * max(0, width - 7), "dim"),)))
        rows += [self._row(run, _over(run, by_run.get(run.id, [])), digits, width) for run in runs.over]
        return rows

    def _row(self, run: Run, tail: Line, digits: int, width: int) -> Row:
        sign, token = state_span(run)
        name = "" if run.is_over else "title"
        begin: Line = (
            (f"{sign} ", token),
            (f"#{run.id}".ljust(digits + 2), token if not run.is_over else "dim"),
            (f"{left(what(run), 8)} ", "dim"),
        )
        if not run.is_active:
            tail = _fitted(tail, width - line_width(begin) - cell_len(run.label) - 1, width)
        room = width - line_width(begin) - line_width(tail) - 1
        return Row(spread((*begin, (named(run, room), name)), tail, width), f"run:{run.id}")


def _fitted(tail: Line, rest: int, width: int) -> Line:
    """The tail may take the room that the beginning leaves, but at least 40 % of the line."""
    room = max(int(width * 0.4), rest)
    return clip(tail[:-1] if line_width(tail) > room and len(tail) > 1 else tail, room)


def _live(run: Run, width: int) -> Line:
    if run.fraction is None:
        return ((run.phase or run.state, "running"),)
    cells = max(4, min(24, width // 6))
    spans: Line = ((bar(run.fraction, cells), "graph"), (f" {right(percent(run.fraction), 5)}", "running"))
    if width >= _RATE_FROM:
        spans += ((f" {right(rate(run.rate, run.unit), 14)}", "dim"),)
    return (*spans, (f" {right(duration(run.eta_s) if run.eta_s is not None else '', 6)}", ""))


def _over(run: Run, scores: list[Score]) -> Line:
    token = state_span(run)[1]
    took = duration(run.ended - run.started) if run.ended and run.started else ""
    if run.state != "done":
        return ((run.reason or run.state, token),)
    best = headline_score(scores)
    if best is None:
        return ((f"done  {took}", "dim"),)
    mark = " ⚠" if best.alarms else ""
    value = f"{best.metric} {score(best.value)}{mark}"
    return ((value, "alarm" if mark else ""), (f"  {right(took, 6)}", "dim"))
