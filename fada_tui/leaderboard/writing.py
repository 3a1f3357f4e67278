"""Asking for the name of a file and writing a board to it; what stands there is replaced only when told to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backends.leaderboard.entries import Board
from fada_tui.leaderboard.files import SUFFIXES, write

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard


def ask_and_write(panel: Dashboard, board: Board) -> None:
    """The format is what the file's name ends in."""
    from fada_tui.screens.paths import PathSuggester
    from fada_tui.screens.prompt import PromptScreen

    def named(text: str | None) -> None:
        if not text:
            return
        path = Path(text).expanduser().absolute()
        form = SUFFIXES.get(path.suffix.lower())
        if form is None:
            panel.app.notify(
                f"{path.name}: end the name in {', '.join(SUFFIXES)}",
                title="Write",
                severity="warning",
                markup=False,
                timeout=6,
            )
            return
        if path.exists():
            _ask_to_replace(panel, board, path, form)
        else:
            _write(panel, board, path, form)

    ends = ", ".join(SUFFIXES)
    facts = (f"{board.kind} {board.metric}, {board.of}", f"the name ends in {ends}; {Path.cwd()} unless it says where")
    help = "enter writes it"
    panel.app.push_screen(
        PromptScreen("Write the board to which file?", facts=facts, help=help, suggester=PathSuggester()), named
    )


def _ask_to_replace(panel: Dashboard, board: Board, path: Path, form: str) -> None:
    from fada_tui.screens.confirm import Choice, ConfirmScreen

    def answered(key: str | None) -> None:
        if key == "r":
            _write(panel, board, path, form)

    question = f"Replace {path.name}?"
    panel.app.push_screen(ConfirmScreen(question, f"{path} is there already.", Choice("r", "replace it")), answered)


def _write(panel: Dashboard, board: Board, path: Path, form: str) -> None:
    from db.atomic import replace_file

    def task() -> list[str]:
        replace_file(path, write([board], form).encode("utf-8", "backslashreplace"))
        return [f"written to {path}"]

    panel.panel_app.start_task("Leaderboard", task)
