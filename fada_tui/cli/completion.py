"""`fada completion SHELL`: what a shell needs to complete verbs, options, model names and run numbers with Tab."""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from db.connect import connect
from db.home import resolve_home
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import print_text

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

SHELLS = {
    "bash": "fada completion bash > ~/.local/share/bash-completion/completions/fada",
    "zsh": "fada completion zsh > ~/.zfunc/_fada   # a folder of your $fpath",
    "fish": "fada completion fish > ~/.config/fish/completions/fada.fish",
}
_MOST_RUNS = 100


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "completion",
        parents=[shared],
        help="what a shell needs to complete `fada` with Tab",
        description="Prints the completion for a shell. Put it where the shell looks, and open a new one:",
        epilog="\n".join(SHELLS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=tuple(SHELLS))
    parser.set_defaults(handler=show)


def show(args: argparse.Namespace, context: Context) -> None:
    """Print it; nothing is installed."""
    from argcomplete.shell_integration import shellcode

    if context.json:
        raise UsageError("a shell's completion has no --json")
    print_text(shellcode(["fada"], shell=args.shell).strip())


def answer(parser: argparse.ArgumentParser) -> None:
    """Print the words that fit where the shell's cursor stands, and end."""
    import argcomplete

    _attach(parser)
    argcomplete.autocomplete(parser)


def _attach(parser: argparse.ArgumentParser) -> None:
    """Names for MODEL and numbers for RUN and ID, in every verb."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _attach(child)
        elif action.metavar == "MODEL" or (action.metavar == "NAME" and parser.prog.endswith(" model")):
            action.completer = _models  # type: ignore[attr-defined]
        elif action.metavar in ("RUN", "ID"):
            action.completer = _runs  # type: ignore[attr-defined]


def _models(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    from db.tracker.queries import model_names

    home = resolve_home(getattr(parsed_args, "home", None))
    # A Tab that finds nothing to read offers nothing: what is wrong is said by the command itself.
    with suppress(sqlite3.Error, OSError), closing(connect(home.fada_db, read_only=True)) as conn:
        return model_names(conn)
    return []


def _runs(parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
    """The newest, each with what it is: zsh and fish show that beside the number."""
    from db.runs.queries import list_runs
    from fada_tui.text import printable

    home = resolve_home(getattr(parsed_args, "home", None))
    with suppress(sqlite3.Error, OSError), closing(connect(home.runs_db, read_only=True)) as conn:
        runs = list_runs(conn, _MOST_RUNS)
        return {str(run.id): printable(f"{run.kind} {run.model} {run.state}") for run in runs}
    return {}
