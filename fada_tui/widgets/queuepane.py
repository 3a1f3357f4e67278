"""The Queue pane: what runs, what waits and why, what is over; in its border when all of it should be done."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.reactive import reactive

from fada_tui.format import duration, measured, percent, rate, size
from fada_tui.sources.views import RunList
from fada_tui.widgets.braille import bar
from fada_tui.widgets.line import Line, Row, clip, left, line_width, right, spread
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import headline_score, named, state_span, tag_text, waiting_for, what

if TYPE_CHECKING:
    from db.runs.rows import Run, Score

_RATE_FROM = 76
_MEMORY_FROM = 100
SHOWN = 500
"""So many of those that wait have a row: a queue of thousands must not hold up a key."""
_WAITING, _OVER = 0.5, 0.4
"""So much of a line what is said at its end may take from the name."""
_BORDER = 6
"""Corners and spaces around a title, in cells."""
_NEEDS = re.compile(r"needs ([\d.]+) GiB(?: of \w+)?, ([\d.]+) GiB free")
_FREE = re.compile(r"(needs [\d.]+ G), [\d.]+ free")
_FEW = (
    (re.compile(r"all (\d+) slots are taken"), r"\1 slots taken"),
    (re.compile(r"(#\d+) has the machine alone"), r"\1 runs alone"),
    (re.compile(r"needs the machine alone; waits for (.*)"), r"runs alone, after \1"),
    (re.compile(r"(after #\d+), which needs the machine alone"), r"\1, which runs alone"),
    (re.compile(r"held; h lets it go"), "held"),
    (re.compile(r"its runner died, so how it ended is not known"), "its runner died"),
    (re.compile(r"the machine was restarted while it ran"), "machine restarted"),
    (re.compile(r"cancelled by the user"), "cancelled"),
    (re.compile(r"(#\d+), which it waits for, was (\w+).*"), r"\1 was \2"),
)
_FIRST = (("evaluate", "evaluate a model"), ("finetune", "fine-tune it"), ("demo", "demo on synthetic data"))


class QueuePane(LineView):
    """Keys of its rows: ``run:ID``."""

    runs: reactive[RunList] = reactive(RunList, repaint=False)
    loaded: reactive[bool] = reactive(False, repaint=False)
    """Whether it is known yet what there is."""

    def __init__(self, key: Callable[[str], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key_of = key

    def watch_loaded(self) -> None:
        self.rebuild()

    def watch_runs(self) -> None:
        self.rebuild()

    @property
    def run_id(self) -> int | None:
        """The run under the cursor."""
        return int(self.key.removeprefix("run:")) if self.key else None

    def rebuild(self) -> None:
        outlook, room = self.runs.outlook, self.outer_size.width - _BORDER
        self.set_title("2 Queue", outlook.done if cell_len(outlook.done) <= room else outlook.short)
        super().rebuild()

    def build(self, width: int, height: int) -> list[Row]:
        runs = self.runs
        if not self.loaded:
            return [Row((("Reading the queue …", "dim"),))]
        if not runs.runs:
            return [
                Row((("Nothing queued or run yet.", "dim"),)),
                *(Row(((f"{self._key_of(name)}  ", "key"), (text, "dim"))) for name, text in _FIRST),
            ]
        by_run: dict[int, list[Score]] = {}
        for one in runs.scores:
            if one.run is not None:
                by_run.setdefault(one.run, []).append(one)
        digits = max(len(str(run.id)) for run in runs.runs)
        rows = [self._row(run, self._live(run, width), digits, width) for run in runs.active]
        waiting = runs.waiting
        rows += [self._row(run, self._waiting(run, digits, width), digits, width) for run in waiting[:SHOWN]]
        if len(waiting) > SHOWN:
            rows.append(Row(((f"… {len(waiting) - SHOWN:,} more wait (fada jobs)", "dim"),)))
        if rows and runs.over:
            rows.append(Row((("─ over " + "─" * max(0, width - 7), "dim"),)))
        rows += [self._row(run, _over(run, by_run.get(run.id, []), width), digits, width) for run in runs.over]
        return rows

    def _row(self, run: Run, tail: Line, digits: int, width: int) -> Row:
        name = "" if run.is_over else "title"
        begin = _begin(run, digits)
        if not run.is_active:
            share = _WAITING if run.is_waiting else _OVER
            rest = width - line_width(begin) - cell_len(run.label) - 1
            if line_width(tail) > rest:
                tail = tuple((_in_few(text), token) for text, token in tail)
            if line_width(tail) > max(rest, int(width * share)):
                tail = tuple((_FREE.sub(r"\1", text), token) for text, token in tail)
            tail = _fitted(tail, rest, int(width * share))
        room = width - line_width(begin) - line_width(tail) - 1
        said = named(run, room)
        rest = room - cell_len(said) - 1
        tags: Line = ((f" {tag_text(run)}", "accent"),) if run.tags and rest > 2 else ()
        return Row(spread((*begin, (said, name), *clip(tags, max(0, rest))), tail, width), f"run:{run.id}")

    def _live(self, run: Run, width: int) -> Line:
        memory: Line = ((f"{self._memory(run)}  ", "dim"),) if width >= _MEMORY_FROM and self._memory(run) else ()
        if run.reason:  # what it was asked to do and has yet to obey
            share = f"{percent(run.fraction)} " if run.fraction is not None else ""
            return ((f"{share}{run.reason}", "running"),)
        if run.fraction is None:
            return (*memory, (run.state if run.state == "paused" else run.phase or run.state, "running"))
        cells = max(4, min(24, width // 6))
        spans: Line = (*memory, (bar(run.fraction, cells), "graph"), (f" {right(percent(run.fraction), 5)}", "running"))
        if run.state == "paused":
            return (*spans, (" paused", "running"))
        if width >= _RATE_FROM:
            spans += ((f" {right(rate(run.rate, run.unit), 14)}", "dim"),)
        return (*spans, (f" {right(duration(run.eta_s) if run.eta_s is not None else '', 6)}", ""))

    def _memory(self, run: Run) -> str:
        """``18.2 GiB seen in #12``: what it reserves, and where that is from."""
        if not run.reserved_bytes:
            return ""
        return f"{size(run.reserved_bytes)} {self.runs.outlook.reserved_because.get(run.id, '')}".rstrip()

    def _waiting(self, run: Run, digits: int, width: int) -> Line:
        """Why it waits, and after whom it comes next; in as many words as there is room for beside the name."""
        why = waiting_for(run)
        room = width - line_width(_begin(run, digits)) - cell_len(run.label) - 1
        few = _NEEDS.sub(r"needs \1, \2 GiB free", why)
        after = self.runs.outlook.after.get(run.id)
        next_one = f"; next after #{after}" if after is not None and f"#{after}" not in why else ""
        fewest = _in_few(_NEEDS.sub(r"needs \1 G, \2 free", why))
        choices = [f"{why}{next_one}", f"{few}{next_one}", few, f"{fewest}{next_one}"]
        said = next((text for text in choices if cell_len(text) <= room), fewest)
        memory = self._memory(run)
        known = not memory or "needs" in why or width < _MEMORY_FROM
        return ((said, "dim"),) if known else ((said, "dim"), (f"  {memory}", "dim"))


def _in_few(text: str) -> str:
    """Reasons that the queue itself gives, in fewer words."""
    for pattern, few in _FEW:
        text = pattern.sub(few, text)
    return text


def _begin(run: Run, digits: int) -> Line:
    sign, token = state_span(run)
    return (
        (f"{sign} ", token),
        (f"#{run.id}".ljust(digits + 2), token if not run.is_over else "dim"),
        (f"{left(what(run), 8)} ", "dim"),
    )


def _fitted(tail: Line, rest: int, least: int) -> Line:
    """The tail may take the room that the beginning leaves, but at least so much of the line."""
    room = max(least, rest)
    return clip(tail[:-1] if line_width(tail) > room and len(tail) > 1 else tail, room)


def _over(run: Run, scores: list[Score], width: int) -> Line:
    """How it ended. Where little fits the metric's name goes, never the figure or the sign that it is doubtful."""
    token = state_span(run)[1]
    took = duration(run.ended - run.started) if run.ended and run.started else ""
    if run.state != "done":
        return ((run.reason or run.state, token),)
    best = headline_score(scores)
    if best is None:
        return (*_of_tasks(scores), (f"  {right(took, 6)}", "dim")) if scores else ((f"done  {took}", "dim"),)
    mark = " ⚠" if best.alarms else ""
    value = f"{measured(best.metric, best.value)}{mark}"
    if cell_len(value) + len(best.metric) < width * _OVER:
        value = f"{best.metric} {value}"
    return ((value, "alarm" if mark else ""), (f"  {right(took, 6)}", "dim"))


def _of_tasks(scores: list[Score]) -> Line:
    """``DD 0.412 ⚠ VRA 0.331``: a benchmark that was asked in part has no total, only its tasks, read strictly."""
    first = {one.question: one for one in reversed(scores) if not one.metric.endswith("_lenient")}
    spans: list[tuple[str, str]] = []
    for name, one in reversed(first.items()):
        mark = " ⚠" if one.alarms else ""
        spans.append((f"{' ' if spans else ''}{name} {measured(one.metric, one.value)}{mark}", "alarm" if mark else ""))
    return tuple(spans)
