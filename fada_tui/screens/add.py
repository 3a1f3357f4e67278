"""The form that adds a model to a section of the note: a field for each column of the table it goes into."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from textual import on, work
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from db.connect import connect
from db.home import Home
from db.tracker.edits import add_model, table_columns
from db.tracker.errors import EditError
from db.tracker.rows import STATUS_LADDER
from fada_tui.screens.fields import Field, field_row, required
from fada_tui.screens.form import FormScreen
from fada_tui.text import printable

_NOTE = (
    "The row is written under the others of its section, in their manner. What is left empty stays empty; a status "
    "that is not given is TODO."
)


class AddForm(FormScreen[tuple[str, list[str]]]):
    """The result is the model's name, and what changed in words.

    Args:
        sections: Titles to propose.
        section: The one to begin with.
        name: The model's name to begin with.
    """

    VERB = "adds it"
    CHECKING = "adding …"
    WAIT = "still adding"

    @dataclass
    class ColumnsRead(Message):
        section: str
        columns: tuple[str, ...]

    def __init__(self, home: Home, sections: Sequence[str], section: str, name: str = "") -> None:
        self._titles = {printable(title): title for title in sections}
        self._base = (
            Field("name", "Model", name),
            Field("section", "Section", section, hint="title, or a part of it", choices=tuple(self._titles)),
        )
        super().__init__("Add a model", self._base, _NOTE)
        self._home = home

    def on_mount(self) -> None:
        self._read_columns(self._base[1].value)

    def first_field(self) -> Input:
        return self.input_of("name")

    @on(Input.Changed, "#field-section")
    def _section_changed(self, event: Input.Changed) -> None:
        self._read_columns(self._title(event.value.strip()))

    @work(thread=True, exit_on_error=False, exclusive=True, group="columns")
    def _read_columns(self, section: str) -> None:
        try:
            with closing(connect(self._home.fada_db, read_only=True)) as conn:
                columns = table_columns(conn, section)
        except EditError:
            # Half a title means no section yet; enter says so where it is still none.
            return
        self.post_message(self.ColumnsRead(section, tuple(columns)))

    @on(ColumnsRead)
    async def _columns_read(self, event: ColumnsRead) -> None:
        """Show a field a column; what was written in one of the same name stays."""
        if event.section != self._title(self.values["section"]) or event.columns == tuple(self._columns):
            return
        written = {label: self.values[name] for label, name in self._columns.items()}
        kept = self._kept if self._title(self._kept.get("section", "")) == event.section else {}
        fields = [
            Field(
                f"column-{index}",
                column,
                written.get(column) or kept.pop(f"column-{index}", ""),
                hint="TODO" if column.casefold() == "status" else "",
                choices=STATUS_LADDER if column.casefold() == "status" else (),
            )
            for index, column in enumerate(event.columns)
        ]
        box = self.query_one("#fields", Vertical)
        self.fields = self._base
        await box.query(".column").remove()
        await box.mount(*(_column_row(field) for field in fields))
        self.fields = (*self._base, *fields)

    def _title(self, text: str) -> str:
        """The section's own title, where it is written as it is shown."""
        return self._titles.get(text, text)

    @property
    def _columns(self) -> dict[str, str]:
        """Column to the name of its field."""
        return {field.label: field.name for field in self.fields[len(self._base) :]}

    def submit(self, values: dict[str, str]) -> tuple[str, list[str]]:
        name = required(values, "name", "the model's name")
        required(values, "section", "the section")
        cells = {column: values[field] for column, field in self._columns.items() if values.get(field)}
        with closing(connect(self._home.fada_db)) as conn:
            return name, add_model(conn, name, self._title(values["section"]), cells, "user")


def _column_row(field: Field) -> Horizontal:
    row = field_row(field)
    row.add_class("column")
    return row
