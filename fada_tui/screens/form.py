"""A form that checks itself in a worker thread; what was typed stays when something is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static

from fada_tui.screens.confirm import Choice, ConfirmScreen
from fada_tui.screens.failing import TellsFailures
from fada_tui.sources.trouble import explain
from fada_tui.text import as_meant, printable


@dataclass(frozen=True)
class Field:
    """One line of a form; ``kind`` is text, path or integer."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()


ResultT = TypeVar("ResultT")


class Question(Exception):
    """Raised by a form's ``submit`` where a person has to agree first; ``then`` is added to the values if one does."""

    def __init__(self, title: str, text: str, words: str, then: dict[str, str]) -> None:
        super().__init__(text)
        self.title = title
        self.text = text
        self.words = words
        self.then = then


class FormScreen(TellsFailures, ModalScreen[ResultT | None], Generic[ResultT]):
    """Enter submits, escape leaves; the result is what :meth:`submit` answers."""

    auto_links = False
    VERB = "queues it"
    """What enter does."""
    CHECKING = "checking model and data …"
    WAIT = "still checking; it is queued when all is well (c cancels it then)"
    """Why it cannot be left while it is being submitted."""
    NOT_AGREED = "nothing was queued"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel"),
        Binding("down", "step(1)", "next", priority=True),
        Binding("up", "step(-1)", "previous", priority=True),
        Binding("ctrl+s", "submit", "submit"),
    ]

    @dataclass
    class Proposed(Message):
        values: dict[str, str]

    @dataclass
    class Submitted(Message):
        result: Any

    @dataclass
    class Refused(Message):
        message: str
        hint: str | None

    @dataclass
    class Asked(Message):
        question: Question
        values: dict[str, str]

    def __init__(self, title: str, fields: Sequence[Field], note: str) -> None:
        super().__init__()
        self._title_text = title
        self.fields = tuple(fields)
        self._note = note
        self._busy = False

    def submit(self, values: dict[str, str]) -> ResultT:
        """Check the values and do it; called in a thread. Raises what explains itself."""
        raise NotImplementedError

    def entered(self) -> None:
        """Enter was pressed; called before the values are submitted."""

    def propose(self) -> dict[str, str]:
        """What more to fill in, by field; called in a thread, for it looks at files."""
        return {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = Content(printable(self._title_text))
            with Vertical(id="fields"):
                for field in self.fields:
                    yield field_row(field)
            yield Static(Content(printable(self._note)), classes="help", id="form-note")
            yield Static("", classes="problem", id="problem")
            keys = f"enter {self.VERB} · tab ↓ ↑ move · → takes a proposal · esc leaves"
            yield Label(Content(keys), classes="help")

    def on_mount(self) -> None:
        # Not focus(): that waits until the app is idle, and a key typed meanwhile would go elsewhere.
        self.set_focus(self.first_field())
        self._propose()

    def first_field(self) -> Input:
        """The first field that has to be filled in and is not."""
        values = self.values
        empty = (field.name for field in self.fields if not values[field.name] and not field.hint)
        return self.input_of(next(empty, self.fields[1].name))

    def input_of(self, name: str) -> Input:
        return self.query_one(f"#field-{name}", Input)

    @work(thread=True, exit_on_error=False)
    def _propose(self) -> None:
        try:
            values = self.propose()
        except (sqlite3.Error, OSError):
            # The panel says by itself that its data cannot be read; a form does without.
            return
        self.post_message(self.Proposed(values))

    @on(Proposed)
    def _proposed(self, event: Proposed) -> None:
        """Fill it in, unless somebody was quicker: what is proposed belongs together, so all of it or nothing."""
        as_made, values = {field.name: field.value for field in self.fields}, self.values
        if self._busy or any(values[name] != as_made[name] for name in event.values):
            return
        stood = self.focused
        untouched = stood is self.first_field()
        for name, value in event.values.items():
            self.input_of(name).value = printable(value)
        self.fields = tuple(replace(field, value=event.values.get(field.name, field.value)) for field in self.fields)
        if untouched:
            here = self.first_field()
            self.set_focus(here)
            here.select_all()

    @property
    def values(self) -> dict[str, str]:
        """What is written in each field; what was only shown in place of its own text counts as that text."""
        return {field.name: as_meant(field.value, self.input_of(field.name).value.strip()) for field in self.fields}

    @on(Input.Submitted)
    def action_submit(self) -> None:
        if self._busy:
            return
        self._busy = True
        self.entered()
        self._say(self.CHECKING, problem=False)
        self._submit(self.values)

    @work(thread=True, exit_on_error=False)
    def _submit(self, values: dict[str, str]) -> None:
        try:
            self.post_message(self.Submitted(self.submit(values)))
        except Question as question:
            self.post_message(self.Asked(question, values))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown in the form
            self.post_message(self.Refused(*explain(error)))

    @on(Submitted)
    def _submitted(self, event: Submitted) -> None:
        self.dismiss(event.result)

    @on(Asked)
    def _asked(self, event: Asked) -> None:
        question = event.question

        def answered(key: str | None) -> None:
            if key is None:
                self._busy = False
                self._say(self.NOT_AGREED, problem=True)
            else:
                self._submit({**event.values, **question.then})

        self.app.push_screen(ConfirmScreen(question.title, question.text, Choice("y", question.words)), answered)

    @on(Refused)
    def _refused(self, event: Refused) -> None:
        self._busy = False
        self._say(event.message + (f"\n→ {event.hint}" if event.hint else ""), problem=True)

    def _say(self, text: str, *, problem: bool) -> None:
        lines = [printable(line) for line in text.split("\n")]
        shown = self.query_one("#problem", Static)
        shown.set_class(problem, "problem")
        shown.update(Content("\n".join(lines)))
        shown.scroll_visible(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key to the next field that comes before there are fields is no such key yet: it is kept in its turn."""
        return action != "step" or self.focused is not None

    def action_step(self, steps: int) -> None:
        if steps > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_leave(self) -> None:
        if self._busy:
            self._say(self.WAIT, problem=False)
            return
        self.dismiss(None)


def field_row(field: Field) -> Horizontal:
    """A field's label and its input, on one line."""
    return Horizontal(Label(Content(printable(field.label))), _input(field), classes="field")


def _input(field: Field) -> Input:
    suggester: Suggester | None = None
    if field.kind == "path":
        from fada_tui.screens.paths import PathSuggester

        suggester = PathSuggester()
    elif field.choices:
        from textual.suggester import SuggestFromList

        suggester = SuggestFromList(field.choices, case_sensitive=False)
    return Input(
        value=printable(field.value),
        placeholder=field.hint,
        id=f"field-{field.name}",
        suggester=suggester,
        restrict=r"[0-9]*" if field.kind == "integer" else None,
    )


class FormError(Exception):
    """A value that is missing or cannot be meant."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def required(values: dict[str, str], name: str, what: str) -> str:
    """The value.

    Raises:
        FormError: It is empty.
    """
    if not values[name]:
        raise FormError(f"{what} is missing")
    return values[name]


def path_of(text: str) -> str:
    """The path with ``~`` expanded."""
    return str(Path(text).expanduser()) if text else ""
