"""The Run pane: the chosen job as it goes, what it scored, and what it takes to believe it."""

from __future__ import annotations

from collections.abc import Callable

from textual.reactive import reactive

from fada_tui.sources.views import RunView
from fada_tui.widgets import curvelines, runlines
from fada_tui.widgets.line import Line, Row, clip, wrap
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import named, what

_TALL = 24


class RunPane(LineView):
    """No row of it can be chosen; the arrows scroll."""

    view: reactive[RunView | None] = reactive(None, repaint=False)
    loaded: reactive[bool] = reactive(False, repaint=False)
    """Whether it is known yet if there are runs."""
    suggestion: reactive[str] = reactive("a model", repaint=False)
    """The model that the empty state proposes."""

    def __init__(self, key: Callable[[str], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key_of = key

    def watch_loaded(self) -> None:
        self.rebuild()

    def watch_view(self, old: RunView | None, view: RunView | None) -> None:
        if (old.run.id if old else None) != (view.run.id if view else None):
            self.scroll_to(y=0, animate=False)
        self.rebuild()

    def rebuild(self) -> None:
        self._say_what()
        super().rebuild()

    def _say_what(self) -> None:
        if self.view is None:
            self.set_title("4 Run")
            return
        begin = f"4 Run #{self.view.run.id} {what(self.view.run)} "
        # Corners and the spaces around a title take six cells of the border.
        self.set_title(begin + named(self.view.run, max(1, self.outer_size.width - len(begin) - 6)))

    def watch_suggestion(self) -> None:
        if self.view is None:
            self.rebuild()

    def build(self, width: int, height: int) -> list[Row]:
        lines = self._first_run(width) if self.view is None else self._run(self.view, width, height)
        return [Row(clip(line, width)) for line in lines]

    def _first_run(self, width: int) -> list[Line]:
        if not self.loaded:
            return [(("Reading the runs …", "dim"),)]

        def choice(name: str, text: str) -> list[Line]:
            key = self._key_of(name)
            lines = wrap(text, max(10, width - 6), limit=6)
            return [((f"  {key}   ", "key"), (lines[0], "")), *((("      ", ""), (line, "")) for line in lines[1:])]

        return [
            (("No runs yet.", "title"),),
            ((" ", ""),),
            *choice(
                "demo",
                "Demo: a tiny real model on synthetic ultrasound, evaluated, fine-tuned and evaluated again. "
                "No download; under two minutes on two cores.",
            ),
            ((" ", ""),),
            *choice("evaluate", f"Evaluate {self.suggestion} on your questions, images and reference answers."),
            ((" ", ""),),
            *choice("finetune", "Fine-tune it first."),
            ((" ", ""),),
            *choice("help", "Every key. Jobs go on when you quit."),
        ]

    def _run(self, view: RunView, width: int, height: int) -> list[Line]:
        lines: list[Line] = [runlines.state_line(view.run, width)]
        lines += runlines.waiting_lines(view.run, width)
        bar = runlines.progress_line(view.run, width)
        if bar is not None and view.run.state != "done":
            lines.append(bar)
        lines += runlines.memory_lines(view, width)
        lines += runlines.label_lines(view.run, width)
        lines += runlines.environment_lines(view, width)
        lines += runlines.failure_lines(view, width, self._key_of)
        if view.compared and view.run.state == "done":
            lines.append(((self._key_of("compare"), "key"), (" shows what it found", "dim")))
        overall = view.overall
        scores = [*runlines.score_lines(overall, width), *runlines.alarm_lines(overall, width, 3 if height < 30 else 8)]
        answers = self._answers(view, width, height)
        messages = runlines.message_lines(view.messages, width, 2 if height < _TALL else 5)
        rest = height - len(lines) - len(scores) - len(answers) - len(messages)
        lines += [*self._curves(view, width, rest), *scores, *answers, *messages]
        if height - len(lines) > 3:
            lines += runlines.breakdown_lines(view.scores, width, height - len(lines) - 1)
        if view.run.is_active and len(lines) <= 2:
            lines += [
                ((" ", ""),),
                (("Nothing yet; ", "dim"), (self._key_of("log"), "key"), (" shows the log.", "dim")),
            ]
        return lines

    def _answers(self, view: RunView, width: int, height: int) -> list[Line]:
        if not view.predictions:
            return []
        shown = max(2, min(len(view.predictions), height // 5))
        head: Line = (("last answers  ", "dim"), (self._key_of("samples"), "key"), (" more", "dim"))
        return [head, *(runlines.answer_line(answer, width) for answer in view.predictions[:shown])]

    def _curves(self, view: RunView, width: int, rest: int) -> list[Line]:
        """Two graphs share the rows that are left; with few of them only the heads, with their last values."""
        drawn = curvelines.curves(view)
        if not drawn:
            return []
        others = runlines.other_metrics(view, width) if rest > 3 * len(drawn) else None
        rest -= others is not None
        free = max(0, rest - len(drawn))
        height, end = min(8, free // len(drawn)), curvelines.last_step(view)
        # Where there is no line for each, the first ones have one.
        heights = [height or int(at < free) for at in range(len(drawn))]
        lines = [
            line
            for curve, height in zip(drawn, heights, strict=True)
            for line in curvelines.curve_lines(curve, end=end, width=width, height=height)
        ]
        return [*lines, others] if others else lines
