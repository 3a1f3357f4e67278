"""Small parts of a form that are no text: one of several words, and the line that unfolds more fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from fada_tui.text import printable


class Pick(Static, can_focus=True):
    """One of several words: left, right and space go through them, a letter goes to the next that begins with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", "next", show=False),
        Binding("left", "turn(-1)", "previous", show=False),
    ]
    value: reactive[str] = reactive("", init=False)

    @dataclass
    class Changed(Message):
        pick: Pick
        value: str

        @property
        def control(self) -> Pick:
            return self.pick

    def __init__(self, choices: Sequence[str], value: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.choices = tuple(choices)
        self.set_reactive(Pick.value, value if value in self.choices else next(iter(self.choices), ""))
        self.expand = True

    def on_mount(self) -> None:
        self._draw()

    def watch_value(self, value: str) -> None:
        self._draw()
        self.post_message(self.Changed(self, value))

    def offer(self, choices: Sequence[str]) -> None:
        """Other words to choose from; the one that is chosen stays where it is among them."""
        self.choices = tuple(choices)
        if self.value not in self.choices:
            self.value = next(iter(self.choices), "")
        self._draw()

    def action_turn(self, steps: int) -> None:
        if self.choices:
            at = self.choices.index(self.value) if self.value in self.choices else 0
            self.value = self.choices[(at + steps) % len(self.choices)]

    def on_key(self, event: events.Key) -> None:
        letter = (event.character or "").casefold()
        if not letter or not event.is_printable or letter == " ":
            return
        event.stop()
        at = self.choices.index(self.value) + 1 if self.value in self.choices else 0
        after = [*self.choices[at:], *self.choices[:at]]
        self.value = next((word for word in after if word.casefold().startswith(letter)), self.value)

    def on_click(self) -> None:
        self.action_turn(1)

    def _draw(self) -> None:
        self.update(Content(f"‹ {printable(self.value)} ›"))


class Fold(Static, can_focus=True):
    """The line above folded fields: what they are, and that they can be shown."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,right,enter", "want", "more", show=False)]
    open: reactive[bool] = reactive(False, init=False)

    @dataclass
    class Wanted(Message):
        fold: Fold

    def __init__(self, names: Sequence[str], id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._names = tuple(names)

    def on_mount(self) -> None:
        self.watch_open(False)

    def on_resize(self) -> None:
        self.watch_open(self.open)

    def watch_open(self, shown: bool) -> None:
        """Named as far as there is room."""
        if shown:
            text = "▾ more settings (ctrl+o back)"
        else:
            names = ", ".join(name.removeprefix("LoRA ") if at else name for at, name in enumerate(self._names))
            text = f"▸ more settings (ctrl+o): {names}"
        room = max(10, self.size.width)
        self.update(Content(text if len(text) <= room else text[: room - 1] + "…"))

    def action_want(self) -> None:
        self.post_message(self.Wanted(self))

    def on_click(self) -> None:
        self.action_want()
