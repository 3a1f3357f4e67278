"""Every key, from the same table as the keys themselves; what works right here comes first."""

from __future__ import annotations

from collections.abc import Sequence

from fada_tui.commands.command import Command
from fada_tui.commands.table import TABLE, footer_commands
from fada_tui.screens.full import FullScreen
from fada_tui.sources.views import Selection
from fada_tui.widgets.line import Row, left

_NAMES = {"tracker": "Tracker", "queue": "Queue", "gpu": "GPU", "run": "Run"}
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
    ("note, #12", "where a score comes from: the tracker note, or run 12"),
    ("← #3", "the model as fine-tune run 3 left it, not its base"),
    ("● ‖ ·", "running, held or paused, queued"),
)


class HelpScreen(FullScreen):
    """Args: ``selection``: what the dashboard's cursor stands on."""

    def __init__(self, selection: Selection) -> None:
        super().__init__("Help")
        self._selection = selection

    def on_mount(self) -> None:
        super().on_mount()
        self.view.show(help_rows(self._selection))


def help_rows(selection: Selection) -> list[Row]:
    """The whole help as rows."""
    rows = [_head(f"Right here, in {_NAMES[selection.pane]}")]
    rows += _rows(footer_commands(selection))
    groups: dict[str, list[Command]] = {}
    for command in TABLE:
        groups.setdefault(command.group, []).append(command)
    for group, commands in groups.items():
        rows += [Row(()), _head(group), *_rows(commands)]
    rows += [Row(()), _head("Signs")]
    rows += [Row((("  ", ""), (left(sign, 14), "key"), (text, ""))) for sign, text in _SIGNS]
    return rows


def _head(text: str) -> Row:
    return Row(((text, "title"),))


def _rows(commands: Sequence[Command]) -> list[Row]:
    rows: list[Row] = []
    for command in commands:
        where = f" ({', '.join(_NAMES[pane] for pane in command.panes)})" if command.panes else ""
        rows.append(Row((("  ", ""), (left(command.key, 14), "key"), (command.description, ""), (where, "dim"))))
    return rows
