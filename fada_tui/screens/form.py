"""A form that checks itself in a worker thread; what was typed stays when something is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from fada_tui.screens.confirm import Choice, ConfirmScreen
from fada_tui.screens.drafts import drafts_of
from fada_tui.screens.failing import TellsFailures
from fada_tui.screens.fields import Field, field_row
from fada_tui.screens.pick import Fold, Pick
from fada_tui.sources.trouble import explain
from fada_tui.text import as_meant, printable

ResultT = TypeVar("ResultT")
AS_LEFT = " · as you left it, ctrl+r begins anew"
TALL = 34
"""Lines of a terminal that shows rare fields below the others; in a smaller one they take their place."""


class Question(Exception):
    """Raised by a form's ``submit`` where a person has to agree first; ``then`` is added to the values if one does."""

    def __init__(self, title: str, text: str, words: str, then: dict[str, str]) -> None:
        super().__init__(text)
        self.title = title
        self.text = text
        self.words = words
        self.then = then


class FormScreen(TellsFailures, ModalScreen[ResultT | None], Generic[ResultT]):
    """Enter submits, escape leaves; the result is what :meth:`submit` answers.

    What was typed and left stands there again when the same form is opened about the same thing.

    Args:
        title: What it does.
        fields: Its fields, with what stands in them at first.
        note: What there is to know.
        about: Tells it from a form that begins alike and is about something else.
    """

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
        # With priority, as a key that follows at once is else handed to the field that is being left.
        Binding("tab", "hop(1)", "next", priority=True, show=False),
        Binding("shift+tab", "hop(-1)", "previous", priority=True, show=False),
        Binding("ctrl+s", "submit", "submit"),
        Binding("enter", "submit", "submit", show=False),
        Binding("ctrl+o", "fold", "more"),
        Binding("ctrl+r", "anew", "anew", show=False),
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

    def __init__(self, title: str, fields: Sequence[Field], note: str, about: Hashable = None) -> None:
        super().__init__()
        self._title_text = title
        self.fields = tuple(fields)
        self._note = note
        self._busy = False
        self._first: dict[str, str] = {}
        """What it opens with where nothing was left in it."""
        self._made: dict[str, str] = {}
        """What stood there before anybody typed."""
        self._kept: dict[str, str] = {}
        """What was left in it before."""
        self._draft_key = (type(self), title, self.fields, about)

    def submit(self, values: dict[str, str]) -> ResultT:
        """Check the values and do it; called in a thread. Raises what explains itself."""
        raise NotImplementedError

    def keys(self) -> str:
        """In the lower border, where they can be seen however long the form is."""
        return f"enter {self.VERB} · tab ↓ ↑ move · → takes a proposal · esc leaves"

    def propose(self) -> dict[str, str]:
        """What more to fill in, by field; called in a thread, for it looks at files."""
        return {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = Content(printable(self._title_text))
            box.border_subtitle = Content(self.keys())
            with Vertical(id="fields"):
                yield from self._rows(rare=False)
            if any(field.rare for field in self.fields):
                yield Fold([field.label for field in self.fields if field.rare], id="fold", classes="field")
                with Vertical(id="rare") as folded:
                    folded.display = False
                    yield from self._rows(rare=True)
            yield Static(Content(printable(self._note)), classes="help", id="form-note")
            yield Told("", classes="problem", id="problem")

    def on_mount(self) -> None:
        # Not focus(): that waits until the app is idle, and a key typed meanwhile would go elsewhere.
        # A pick shows its first word where nothing was chosen for it.
        self._first = self._made = self.values
        self._kept = dict(drafts_of(self.app).get(self._draft_key, {}))
        if not self._kept:
            self._propose()
        else:
            self._fill(self._kept)
            self.query_one(".box").border_title = Content(printable(f"{self._title_text}{AS_LEFT}"))
        self.set_focus(self.first_field())

    def _fill(self, values: dict[str, str]) -> None:
        """Put these into the fields, as they are meant."""
        self.fields = tuple(replace(field, value=values.get(field.name, field.value)) for field in self.fields)
        for field in self.fields:
            self.field_of(field.name).value = printable(field.value)

    def action_anew(self) -> None:
        """Away with what was typed."""
        if self._busy:
            return
        drafts_of(self.app).pop(self._draft_key, None)
        self._fill({**{field.name: "" for field in self.fields}, **self._first})
        self.query_one(".box").border_title = Content(printable(self._title_text))
        self._made = self._first
        self._propose()
        self.set_focus(self.first_field())

    def first_field(self) -> Input | Pick:
        """The first field that has to be filled in and is not."""
        values = self.values
        empty = (field.name for field in self.fields if not values[field.name] and not field.hint)
        return self.field_of(next(empty, self.fields[1].name))

    def input_of(self, name: str) -> Input:
        return self.query_one(f"#field-{name}", Input)

    def field_of(self, name: str) -> Input | Pick:
        """What holds the value of any field."""
        found = self.query_one(f"#field-{name}")
        assert isinstance(found, Input | Pick)
        return found

    def _rows(self, *, rare: bool) -> Iterator[Horizontal]:
        """A line for each field of the page, or for a field and those beside it."""
        lines: list[list[Field]] = []
        for field in self.fields:
            if field.rare == rare:
                if field.beside and lines:
                    lines[-1].append(field)
                else:
                    lines.append([field])
        return (field_row(*line) for line in lines)

    @on(events.DescendantFocus)
    def _explain(self, event: events.DescendantFocus) -> None:
        """What the field means that has the focus, in place of the form's own note."""
        if not any(field.help for field in self.fields):
            return
        helps = {f"field-{field.name}": field.help for field in self.fields}
        text = helps.get(event.widget.id or "") or self._note
        self.query_one("#form-note", Static).update(Content(printable(text)))

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
        values = self.values
        if self._busy or any(values[name] != self._made[name] for name in event.values):
            return
        stood = self.focused
        untouched = stood is self.first_field()
        for name, value in event.values.items():
            self.field_of(name).value = printable(value)
        self.fields = tuple(replace(field, value=event.values.get(field.name, field.value)) for field in self.fields)
        self._made = {**self._made, **event.values}
        if untouched:
            here = self.first_field()
            self.set_focus(here)
            if isinstance(here, Input):
                here.select_all()

    @property
    def values(self) -> dict[str, str]:
        """What is written in each field; what was only shown in place of its own text counts as that text."""
        return {field.name: as_meant(field.value, self.field_of(field.name).value.strip()) for field in self.fields}

    @on(Input.Submitted)
    def action_submit(self) -> None:
        if self._busy:
            return
        self._busy = True
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
        drafts_of(self.app).pop(self._draft_key, None)
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
        return action not in ("step", "hop") or self.focused is not None

    def action_hop(self, steps: int) -> None:
        if steps > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_step(self, steps: int) -> None:
        """Up and down a line, staying in the column; after the last line comes the first."""
        chain = self.focus_chain
        places = [[one for one in chain if row in one.ancestors_with_self] for row in self.query(".field")]
        lines = [line for line in places if line]
        here = next((at for at, line in enumerate(lines) if self.focused in line), None)
        if here is None:
            self.focus_next() if steps > 0 else self.focus_previous()
            return
        column = lines[here].index(self.focused) if self.focused else 0
        line = lines[(here + steps) % len(lines)]
        self.set_focus(line[min(column, len(line) - 1)])

    @on(Fold.Wanted)
    def action_fold(self) -> None:
        """Show the rare fields, or put them away again."""
        for fold in self.query(Fold):
            folded = self.query_one("#rare")
            folded.display = fold.open = not folded.display
            self._page()
            if folded.display:
                self.set_focus(next(iter(folded.query("Input, Pick"))))
            else:
                self.set_focus(fold)

    def on_resize(self) -> None:
        self._page()

    def _page(self) -> None:
        """Where there is no room for all fields, the rare ones are a page of their own."""
        for fold in self.query(Fold):
            self.query_one("#fields").display = not fold.open or self.size.height >= TALL

    def action_leave(self) -> None:
        if self._busy:
            self._say(self.WAIT, problem=False)
            return
        values, drafts = self.values, drafts_of(self.app)
        if any(value != self._made.get(name, "") for name, value in values.items()):
            drafts[self._draft_key] = values
        else:
            drafts.pop(self._draft_key, None)
        self.dismiss(None)


class Told(Static):
    """What a form says of itself, kept in sight: how many lines it takes is known when they are laid out."""

    def on_resize(self) -> None:
        if str(self.content):
            self.scroll_visible(animate=False)
