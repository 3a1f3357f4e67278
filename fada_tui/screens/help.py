"""Every key, from the same table as the keys themselves; what works right here comes first."""

from __future__ import annotations

from collections.abc import Sequence

from fada_tui.commands.command import Command
from fada_tui.commands.table import TABLE, footer_commands
from fada_tui.screens.full import FullScreen
from fada_tui.sources.views import Selection
from fada_tui.widgets.line import Row, left, wrap

_NAMES = {"tracker": "Tracker", "queue": "Queue", "gpu": "GPU", "run": "Run"}
_KEY = 14
_SIGNS = (
    ("✓ ✗", "an answer right or wrong; a job done or failed"),
    ("gt", "compared with reference answers (ground truth), not keywords"),
    ("n", "questions asked; the fewer, the less the score says"),
    ("[low, high]", "95 % interval: the score is only known to lie in between"),
    ("floor", "what the commonest answer to each question gets without"),
    ("", "looking: a model that sees something is well above it"),
    ("ref", "the same, but knowing each image's category: harder to beat"),
    ("⚠", "an alarm: read it before you believe the score"),
    ("~", "a figure that its source calls approximate"),
    ("•", "a marked row: space, s, n and e act on all that are marked"),
    ("→", "a finished run proposes a status: p shows it"),
    ("note, #12", "where a score comes from: the tracker note, or run 12"),
    ("← #3", "the model as fine-tune run 3 left it, not its base"),
    ("● ‖ ·", "running, held or paused, queued"),
    ("– ?", "cancelled; lost: nobody saw how it ended (R goes on, r starts anew)"),
)


class HelpScreen(FullScreen):
    """Args: ``selection``: what the dashboard's cursor stands on."""

    def __init__(self, selection: Selection) -> None:
        super().__init__("Help")
        self._selection = selection

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        width = self.view.scrollable_content_region.width
        if width > 0:
            self.view.show(help_rows(self._selection, width))


def help_rows(selection: Selection, width: int) -> list[Row]:
    """The whole help as rows of so many cells."""
    rows = [_head(f"Right here, in {_NAMES[selection.pane]}")]
    rows += _rows(footer_commands(selection), width)
    groups: dict[str, list[Command]] = {}
    for command in TABLE:
        groups.setdefault(command.group, []).append(command)
    for group, commands in groups.items():
        rows += [Row(()), _head(group), *_rows(commands, width)]
    rows += [Row(()), _head("Signs")]
    return [*rows, *(row for sign, text in _SIGNS for row in _row(sign, text, width))]


def _head(text: str) -> Row:
    return Row(((text, "title"),))


def _rows(commands: Sequence[Command], width: int) -> list[Row]:
    rows: list[Row] = []
    for command in commands:
        where = f" ({', '.join(_NAMES[pane] for pane in command.panes)})" if command.panes else ""
        rows += _row(command.key, command.description + where, width)
    return rows


def _row(sign: str, text: str, width: int) -> list[Row]:
    lines = wrap(text, max(20, width - _KEY - 2))
    return [
        Row((("  ", ""), (left("" if index else sign, _KEY), "key"), (line, ""))) for index, line in enumerate(lines)
    ]
