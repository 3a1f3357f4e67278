"""What a form asks for: its fields, how each is written, and values that are no good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.containers import Horizontal
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input, Label

from fada_tui.screens.pick import Pick
from fada_tui.text import printable
from fada_tui.widgets.textfield import TextField

_RESTRICT = {"integer": r"[0-9]*", "number": r"[0-9.,eE+-]*"}
"""What can be typed at all. A comma is refused with words: left out, 0,0002 would be 2 and 1e-4,2 be 1e-42."""


@dataclass(frozen=True)
class Field:
    """One value of a form; ``kind`` is text, path, integer, number or pick.

    A pick is one of ``choices``, which left and right change; a text's choices are proposed while it is typed.
    """

    name: str
    label: str
    value: str = ""
    hint: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()
    help: str = ""
    """Said below the fields while it has the focus."""
    beside: bool = False
    """On the line of the field before it."""
    rare: bool = False
    """Folded away until somebody asks for it."""


def field_row(*fields: Field) -> Horizontal:
    """A line: each field's label and its input."""
    parts = [part for field in fields for part in (Label(Content(printable(field.label))), _input(field))]
    return Horizontal(*parts, classes="field")


def _input(field: Field) -> Input | Pick:
    if field.kind == "pick":
        return Pick(field.choices, field.value, id=f"field-{field.name}")
    suggester: Suggester | None = None
    if field.kind == "path":
        from fada_tui.screens.paths import PathSuggester

        suggester = PathSuggester()
    elif field.choices:
        from textual.suggester import SuggestFromList

        suggester = SuggestFromList(field.choices, case_sensitive=False)
    return TextField(
        value=printable(field.value),
        placeholder=field.hint,
        id=f"field-{field.name}",
        suggester=suggester,
        restrict=_RESTRICT.get(field.kind),
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
        raise FormError(f"{what} is not filled in")
    return values[name]


def path_of(text: str) -> str:
    """The path with ``~`` expanded."""
    return str(Path(text).expanduser()) if text else ""
