"""The last answers of a run beside their references."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.message import Message

from db.connect import connect, data_version
from db.home import Home
from db.runs.queries import last_predictions
from db.runs.rows import Prediction, Run
from fada_tui.screens.full import FullScreen
from fada_tui.widgets.line import Row, wrap
from fada_tui.widgets.status import is_right, what

SHOWN = 200
PERIOD_S = 0.5


class AnswersScreen(FullScreen):
    """Newest first, and live while the run goes on; `w` shows only the wrong ones."""

    BINDINGS: ClassVar[list[BindingType]] = [("w", "wrong", "only wrong"), ("y", "copy", "copy")]

    @dataclass
    class Loaded(Message):
        answers: tuple[Prediction, ...]

    def __init__(self, home: Home, run: Run) -> None:
        super().__init__(
            f"Answers of #{run.id} {what(run)} {run.label}", "j k scroll · w only wrong ones · y copy · esc back"
        )
        self._home = home
        self._run = run
        self._stop = threading.Event()
        self._answers: tuple[Prediction, ...] = ()
        self._only_wrong = False

    def on_mount(self) -> None:
        super().on_mount()
        said = "It gave no answers." if self._run.is_over else "No answers yet."
        self.view.show([Row(((said, "dim"),))])
        self._watch_answers()

    def on_unmount(self) -> None:
        self._stop.set()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    @work(thread=True, exit_on_error=False)
    def _watch_answers(self) -> None:
        with closing(connect(self._home.runs_db, read_only=True)) as conn:
            version = -1
            while not self._stop.is_set():
                now = data_version(conn)
                if now != version:
                    version = now
                    self.post_message(self.Loaded(tuple(last_predictions(conn, self._run.id, limit=SHOWN))))
                self._stop.wait(PERIOD_S)

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        if event.answers != self._answers:
            self._answers = event.answers
            self._draw()

    def _draw(self) -> None:
        width = self.view.scrollable_content_region.width
        shown = [answer for answer in self._answers if not (self._only_wrong and is_right(answer))]
        if self._answers and width > 0:
            rows = [row for answer in shown for row in answer_rows(answer, width)]
            self.view.show(rows or [Row((("No wrong answer among these.", "dim"),))])

    def action_wrong(self) -> None:
        self._only_wrong = not self._only_wrong
        self.view.set_title(self._title_text, "only wrong ones" if self._only_wrong else "")
        self._draw()

    def action_copy(self) -> None:
        lines = [f"{a.id}\t{a.prediction if a.error is None else a.error}\t{a.reference}" for a in self._answers]
        self.app.copy_to_clipboard("\n".join(lines))
        self.app.notify(f"{len(lines)} answers, tab-separated", title="Copied", markup=False, timeout=3)


def answer_rows(answer: Prediction, width: int) -> list[Row]:
    """Question and image, then the answer, and the reference where it differs."""
    right = is_right(answer)
    sign = ("! ", "error") if answer.error is not None else ("✓ ", "good") if right else ("✗ ", "bad")
    latency = "" if answer.latency_s is None else f"  {answer.latency_s:.2f} s"
    rows = [Row((sign, (answer.question, "title"), (f"  {answer.image_path}{latency}", "dim")))]
    said = answer.error if answer.error is not None else answer.prediction or "(empty)"
    token = "error" if answer.error is not None else ""
    rows += [Row((("    ", ""), (text, token))) for text in wrap(said, width - 4, limit=8)]
    if not right:
        rows += [Row((("  ≠ ", "dim"), (text, "dim"))) for text in wrap(answer.reference, width - 4, limit=8)]
    return rows
