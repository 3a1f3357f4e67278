"""Tags and note of a run, in a small form."""

from __future__ import annotations

from collections.abc import Iterable

from textual.suggester import Suggester
from textual.widgets import Input

from backends.jobs.labelling import describe, tag
from db.home import Home
from db.runs.rows import Run
from fada_tui.screens.fields import Field
from fada_tui.screens.form import FormScreen
from fada_tui.widgets.status import what


class TagSuggester(Suggester):
    """Completes the word at the end by the tags that there are."""

    def __init__(self, tags: Iterable[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._tags = sorted(set(tags), key=str.casefold)

    async def get_suggestion(self, value: str) -> str | None:
        begin, _, word = value.rpartition(" ")
        if not word:
            return None
        found = (one for one in self._tags if one.casefold().startswith(word.casefold()) and one not in begin.split())
        match = next(found, None)
        return None if match is None else value + match[len(word) :]


class LabelsForm(FormScreen[list[str]]):
    """Answers what was changed, in words."""

    VERB = "writes them"
    CHECKING = "writing …"
    WAIT = "still writing"

    def __init__(self, home: Home, run: Run, tags: Iterable[str]) -> None:
        fields = (
            Field("tags", "tags", " ".join(run.tags), "one word each, for instance: night v2"),
            Field("note", "note", run.note, "what somebody should know of this run"),
        )
        note = "`fada jobs --tag TAG` lists runs by them; they stay with the run's directory."
        super().__init__(f"Tags and note of #{run.id} {what(run)} {run.label}", fields, note)
        self._home = home
        self._run = run
        self._suggester = TagSuggester(tags)

    def on_mount(self) -> None:
        self.input_of("tags").suggester = self._suggester

    def first_field(self) -> Input:
        return self.input_of("tags")

    def submit(self, values: dict[str, str]) -> list[str]:
        wanted, had = values["tags"].split(), self._run.tags
        said: list[str] = []
        if gone := [one for one in had if one not in wanted]:
            said = tag(self._home, self._run.id, gone, remove=True)
        if new := [one for one in wanted if one not in had]:
            said = tag(self._home, self._run.id, new)
        if values["note"] != self._run.note:
            said += describe(self._home, self._run.id, values["note"])
        return said
