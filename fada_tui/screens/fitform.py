"""A form that says below its fields what the job would take, as what is written in them changes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from textual import on, work
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from backends.estimate.ask import Question
from db.connect import connect
from db.home import Home
from fada_tui.screens.engines import chosen_engine, engine_lines, offered
from fada_tui.screens.form import FormScreen
from fada_tui.screens.pick import Pick
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
        """``lines`` are empty where nothing can be said."""

        of: tuple[str, ...]
        lines: tuple[str, ...]

    def fit_home(self) -> Home:
        raise NotImplementedError

    def question(self, values: dict[str, str]) -> Question:
        """Everything but the model and the data's facts; called in a thread."""
        raise NotImplementedError

    def training(self, values: dict[str, str]) -> Mapping[str, Any] | None:
        """Of a fine-tune: what decides its steps."""
        return None

    def method_words(self, values: dict[str, str]) -> str:
        """A line on the method; called in a thread."""
        return ""

    def models(self, values: dict[str, str]) -> tuple[str, ...]:
        """What is estimated, each for itself."""
        return (values["model"],) if values.get("model") else ()

    def on_mount(self) -> None:
        shown = Static("", id="fit", classes="fact")
        shown.display = False
        self.query_one(".box", VerticalScroll).mount(shown, after="#form-note")
        self._fit_soon()

    @on(Input.Changed)
    @on(Pick.Changed)
    def _fit_soon(self) -> None:
        values = self.values
        wanted = tuple(values.get(name, "") for name in self.FIT_OF)
        if wanted != self._fit_of:
            self._fit_of = wanted
            self.set_timer(SETTLED_S, lambda: self._fit_if(wanted, values))

    def fit_again(self) -> None:
        """Something that no field holds has changed."""
        if self._fit_of:
            self._estimate(self._fit_of, self.values)

    def _fit_if(self, wanted: tuple[str, ...], values: dict[str, str]) -> None:
        """Not while somebody types."""
        if wanted == self._fit_of:
            self._estimate(wanted, values)

    @work(thread=True, exit_on_error=False, exclusive=True, group="fit")
    def _estimate(self, wanted: tuple[str, ...], values: dict[str, str]) -> None:
        try:
            lines = self.fit_lines(values)
        except Exception:  # noqa: BLE001 - a model that is half typed is none; enter will say it loudly
            lines = []
        self.post_message(self.Fits(wanted, tuple(lines)))

    def fit_lines(self, values: dict[str, str]) -> list[str]:
        """What stands below the fields; called in a thread."""
        from backends.jobs.prospect import prospect
        from backends.telemetry.sampler import Sampler
        from fada_tui.screens.fittext import prospect_lines

        home, models = self.fit_home(), self.models(values)
        if not models or values.get("server"):
            return []
        question = self.question(values)
        with Sampler(home) as sampler:
            sample = sampler.sample({})
        with closing(connect(home.runs_db, read_only=True)) as runs:
            asked = [about_model(home, question, model) for model in models]
            found = [prospect(home, runs, one, sample, self.training(values)) for one in asked]
        # Of several the one that takes most is told: where that fits, all do.
        most = max(found, key=lambda one: one.here.interval[1])
        engine, name = chosen_engine(values), models[found.index(most)]
        stated = _stated(home, name, asked[found.index(most)].name)
        if engine is None:
            lines = prospect_lines(most, self.method_words(values), offered(home, most), stated)
        else:
            lines = engine_lines(home, engine, most, stated)
        return [f"the largest of them, {name}:", *lines] if len(models) > 1 else lines

    @on(Fits)
    def _fits(self, event: Fits) -> None:
        if event.of == self._fit_of:
            shown = self.query_one("#fit", Static)
            shown.update(Content("\n".join(map(printable, event.lines))))
            shown.display = bool(event.lines)


def about_model(home: Home, question: Question, model: str) -> Question:
    """The question with what a spec would say of the model; it reads the disk.

    Raises:
        ModelError: There is no such model, or none that can be loaded.
    """
    from backends.jobs.prospect import model_facts

    return replace(question, **model_facts(home, model))


def _stated(home: Home, *names: str) -> str | None:
    """The VRAM that the note says of the first name it knows."""
    from db.tracker.queries import stated_vram

    with closing(connect(home.fada_db, read_only=True)) as conn:
        return next((said for name in names if (said := stated_vram(conn, name))), None)
