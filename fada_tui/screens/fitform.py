"""A form that says below its fields what the job would take of a card, as what is written in them changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from textual import on, work
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from backends.estimate.ask import GIB, Answer, Question, ask, card_memory
from db.connect import connect
from db.home import Home
from fada_tui.screens.form import FormScreen
from fada_tui.text import printable

ResultT = TypeVar("ResultT")
SETTLED_S = 0.4
"""So long nothing must have been typed before it is estimated."""


class FitForm(FormScreen[ResultT]):
    """A subclass says which :meth:`question` its values ask, and of which fields."""

    FIT_OF: tuple[str, ...] = ("model",)
    """Fields that decide it."""
    _fit_of: tuple[str, ...] = ()

    @dataclass
    class Fits(Message):
        """``text`` is empty where nothing can be said."""

        of: tuple[str, ...]
        text: str

    def fit_home(self) -> Home:
        raise NotImplementedError

    def question(self, values: dict[str, str]) -> tuple[str, str, int]:
        """Method (empty: an evaluation), weights' precision (empty: the device's own) and batch."""
        raise NotImplementedError

    def on_mount(self) -> None:
        shown = Static("", id="fit", classes="fact")
        shown.display = False
        self.query_one(".box", VerticalScroll).mount(shown, after="#fields")
        self._fit_soon()

    @on(Input.Changed)
    def _fit_soon(self) -> None:
        values = self.values
        wanted = tuple(values.get(name, "") for name in self.FIT_OF)
        if wanted != self._fit_of:
            self._fit_of = wanted
            self.set_timer(SETTLED_S, lambda: self._fit_if(wanted, values))

    def _fit_if(self, wanted: tuple[str, ...], values: dict[str, str]) -> None:
        """Not while somebody types."""
        if wanted == self._fit_of:
            self._estimate(wanted, values)

    @work(thread=True, exit_on_error=False, exclusive=True, group="fit")
    def _estimate(self, wanted: tuple[str, ...], values: dict[str, str]) -> None:
        try:
            text = self._fit_text(values)
        except Exception:  # noqa: BLE001 - a model that is half typed is none; enter will say it loudly
            text = ""
        self.post_message(self.Fits(wanted, text))

    def _fit_text(self, values: dict[str, str]) -> str:
        from contextlib import closing

        from backends.catalog.reader import USER_FILE
        from backends.catalog.resolve import resolve_model
        from backends.telemetry.sampler import Sampler

        home = self.fit_home()
        if not values.get("model") or values.get("server"):
            return ""
        with closing(connect(home.fada_db, read_only=True)) as tracker:
            model = resolve_model(values["model"], tracker)
        method, precision, batch = self.question(values)
        question = Question(model.source, model.name, method, precision, batch)
        with closing(connect(home.runs_db, read_only=True)) as runs:
            card = card_memory(Sampler(home).sample().gpus)
            return fit_words(ask(question, runs, card, home.root / USER_FILE))

    @on(Fits)
    def _fits(self, event: Fits) -> None:
        if event.of == self._fit_of:
            shown = self.query_one("#fit", Static)
            shown.update(Content(printable(event.text)))
            shown.display = bool(event.text)


def fit_words(answer: Answer) -> str:
    """One line: the likely size, the interval, and the card."""
    low, likely, high = (end / GIB for end in answer.interval)
    seen = f", by #{answer.corrected.runs[0]}" if answer.corrected else ""
    sign = {"fits": "✓ ", "tight": "~ ", "too large": "✗ "}.get(answer.verdict, "")
    return f"{sign}VRAM: likely {likely:.1f} GiB ({low:.1f} to {high:.1f}{seen}); {answer.words}"
