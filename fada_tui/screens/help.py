"""Every key, from the same table as the keys themselves; what works right here comes first."""

from __future__ import annotations

from collections.abc import Sequence

from fada_tui.commands.command import Command
from fada_tui.commands.table import Commands
from fada_tui.screens.drawn import DrawnScreen
from fada_tui.sources.views import Selection
from fada_tui.widgets.line import Row, left, wrap

_NAMES = {"tracker": "Tracker", "queue": "Queue", "gpu": "GPU", "run": "Run"}
_PANES = {
    "tracker": "The note's models by section, with status, best score and what runs of them; then its checklist by "
    "phase. The cursor is on a row, and keys are about that row.",
    "queue": "What runs, what waits and why, and what is over, the newest first. The Run pane shows the job under "
    "the cursor.",
    "gpu": "Each card: use, memory by owner, power, temperature; without a card the machine itself. Zoomed it has "
    "history, processes and why a figure is n/a.",
    "run": "The chosen job as it goes: curves, scores with interval and floor, alarms, the last answers.",
}
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


class HelpScreen(DrawnScreen):
    """Args: ``selection``: what the dashboard's cursor stands on."""

    def __init__(self, commands: Commands, selection: Selection) -> None:
        super().__init__("Help")
        self._commands = commands
        self._selection = selection

    def rows(self, width: int) -> list[Row]:
        return help_rows(self._commands, self._selection, width)


def help_rows(commands: Commands, selection: Selection, width: int) -> list[Row]:
    """The whole help as rows of so many cells: what the pane is and what works in it comes first."""
    rows = [_head(f"Right here, in {_NAMES[selection.pane]}")]
    rows += [Row(((line, "dim"),)) for line in wrap(_PANES[selection.pane], width)]
    rows += _rows(commands.footer(selection), width, commands)
    groups: dict[str, list[Command]] = {}
    for command in commands.table:
        groups.setdefault(command.group, []).append(command)
    for group, of_group in groups.items():
        rows += [Row(()), _head(group), *_rows(of_group, width, commands)]
    rows += [Row(()), _head("Signs")]
    return [*rows, *(row for sign, text in _SIGNS for row in _row(sign, text, width))]


def _head(text: str) -> Row:
    return Row(((text, "title"),))


def _rows(some: Sequence[Command], width: int, commands: Commands) -> list[Row]:
    rows: list[Row] = []
    for command in some:
        where = f" ({', '.join(_NAMES[pane] for pane in command.panes)})" if command.panes else ""
        rows += _row(commands.key(command.id), command.description + where, width)
    return rows


def _row(sign: str, text: str, width: int) -> list[Row]:
    lines = wrap(text, max(20, width - _KEY - 2))
    return [
        Row((("  ", ""), (left("" if index else sign, _KEY), "key"), (line, ""))) for index, line in enumerate(lines)
    ]
