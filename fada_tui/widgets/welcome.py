"""The first page: shown once beside the tracker, in the room of two panes that are empty then. Any key goes on."""

from __future__ import annotations

from collections.abc import Callable

from fada_tui.widgets.line import Line, Row, wrap
from fada_tui.widgets.lineview import LineView

_KEY = 7
_KEYS = (
    ("details", "everything known of a model"),
    ("mark", "done: tick it, or move it on"),
    ("evaluate", "evaluate it on your data"),
    ("finetune", "fine-tune it"),
    ("demo", "see it all on synthetic data: no card, no download"),
    ("palette", "every command, by name"),
    ("help", "every key"),
    ("quit", "leave; jobs go on"),
)


class WelcomePane(LineView):
    """Args: ``key``: how the key of a command is written."""

    can_focus = False

    def __init__(self, key: Callable[[str], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = key

    def on_mount(self) -> None:
        self.set_title("Welcome", "any key goes on")

    def build(self, width: int, height: int) -> list[Row]:
        # What is left out where it does not fit is in the help as well.
        lines: list[Line] = [
            *_paragraph("Left is the tracker, a note of models and what is left to do with them.", width),
            *self._keys(width),
            (),
            *_paragraph("Your own note: fada import FILE.md. Your data: questions as JSONL; README says how.", width),
            (),
            *_paragraph("This page is not shown again.", width, "dim"),
        ]
        return [Row(line) for line in (lines if len(lines) <= height else [one for one in lines if one])[:height]]

    def _keys(self, width: int) -> list[Line]:
        move: list[Line] = [(), (("j k ↑↓ ", "key"), ("move, in every list", ""))]
        for name, text in _KEYS:
            first, *rest = wrap(text, max(10, width - _KEY))
            move.append(((f"{self._key(name):<{_KEY}}", "key"), (first, "")))
            move += [((" " * _KEY, ""), (line, "")) for line in rest]
        return move


def _paragraph(text: str, width: int, token: str = "") -> list[Line]:
    return [((line, token),) for line in wrap(text, width)]
