"""A form that checks itself in a worker thread; what was typed stays when something is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static

from fada_tui.sources.trouble import explain
from fada_tui.text import printable


@dataclass(frozen=True)
class Field:
    """One line of a form; ``kind`` is text, path or integer."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()


class FormScreen(ModalScreen[int | None]):
    """Enter queues, escape leaves; the result is the run's id."""

    auto_links = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel"),
        Binding("down", "app.focus_next", "next", priority=True),
        Binding("up", "app.focus_previous", "previous", priority=True),
        Binding("ctrl+s", "submit", "queue"),
    ]

    @dataclass
    class Proposed(Message):
        values: dict[str, str]

    @dataclass
    class Queued(Message):
        run_id: int

    @dataclass
    class Refused(Message):
        message: str
        hint: str | None

    def __init__(self, title: str, fields: Sequence[Field], note: str) -> None:
        super().__init__()
        self._title_text = title
        self.fields = tuple(fields)
        self._note = note
        self._busy = False

    def enqueue(self, values: dict[str, str]) -> int:
        """Check the values and queue the job; called in a thread. Raises what explains itself."""
        raise NotImplementedError

    def propose(self) -> dict[str, str]:
        """What more to fill in, by field; called in a thread, for it looks at files."""
        return {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = Content(printable(self._title_text))
            for field in self.fields:
                with Horizontal(classes="field"):
                    yield Label(Content(field.label))
                    yield _input(field)
            yield Static(Content(self._note), classes="help", id="form-note")
            yield Static("", classes="problem", id="problem")
            yield Label(Content("enter queues it · tab ↓ ↑ move · → takes a proposal · esc leaves"), classes="help")

    def on_mount(self) -> None:
        self._first_empty().focus()
        self._propose()

    def _first_empty(self) -> Input:
        """The first field that has to be filled in and is not."""
        values = self.values
        empty = (field.name for field in self.fields if not values[field.name] and not field.hint)
        return self._input_of(next(empty, self.fields[1].name))

    def _input_of(self, name: str) -> Input:
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
        """Fill it in, unless somebody was quicker."""
        as_made = {field.name: field.value for field in self.fields}
        if self._busy or self.values != as_made:
            return
        stood = self.focused
        untouched = stood is self._first_empty()
        for name, value in event.values.items():
            self._input_of(name).value = value
        if untouched:
            here = self._first_empty()
            here.focus()
            here.select_all()

    @property
    def values(self) -> dict[str, str]:
        return {field.name: self.query_one(f"#field-{field.name}", Input).value.strip() for field in self.fields}

    @on(Input.Submitted)
    def action_submit(self) -> None:
        if self._busy:
            return
        self._busy = True
        self._say("checking model and data …", problem=False)
        self._enqueue(self.values)

    @work(thread=True, exit_on_error=False)
    def _enqueue(self, values: dict[str, str]) -> None:
        try:
            self.post_message(self.Queued(self.enqueue(values)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown in the form
            self.post_message(self.Refused(*explain(error)))

    @on(Queued)
    def _queued(self, event: Queued) -> None:
        self.dismiss(event.run_id)

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

    def action_leave(self) -> None:
        if self._busy:
            self._say("still checking; it is queued when all is well (c cancels it then)", problem=False)
            return
        self.dismiss(None)


def _input(field: Field) -> Input:
    suggester: Suggester | None = None
    if field.kind == "path":
        from fada_tui.screens.paths import PathSuggester

        suggester = PathSuggester()
    elif field.choices:
        from textual.suggester import SuggestFromList

        suggester = SuggestFromList(field.choices, case_sensitive=False)
    return Input(
        value=field.value,
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
