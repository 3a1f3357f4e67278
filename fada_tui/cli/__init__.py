"""The ``fada`` command: each module registers its verbs; handlers raise CommandError and print through Context."""

from __future__ import annotations

import argparse
import itertools
import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from backends.catalog.errors import ModelError
from db.home import Home, resolve_home
from fada_tui import __version__
from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError, of_database, of_system
from fada_tui.cli.output import print_error, silence_broken_pipe

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse exports no public name for it


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of exiting, so that --json also holds for usage errors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see `{self.prog} --help`")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Every handler is ``args.handler(args, context)``, returning nothing."""
    from fada_tui.cli import (
        completion,
        convert,
        demo,
        disk,
        download,
        env,
        estimate,
        finetune,
        gpu,
        imports,
        jobs,
        keys,
        labels,
        launch,
        leaderboard,
        panel,
        presets,
        results,
        sync,
        system,
        tracker,
    )

    shared = _shared()
    parser = _Parser(prog="fada", description="Tracker, jobs and honest scores in one panel.", parents=[shared])
    parser.add_argument("--version", action="version", version=f"fada-tui {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for module in (
        panel,
        demo,
        tracker,
        sync,
        launch,
        finetune,
        convert,
        presets,
        download,
        jobs,
        labels,
        results,
        leaderboard,
        imports,
        disk,
        env,
        estimate,
        gpu,
        system,
        keys,
        completion,
    ):
        module.register(verbs, shared)
    parser.set_defaults(handler=panel.open_panel)
    return parser


def _shared() -> argparse.ArgumentParser:
    """The options that stand before or after any verb."""
    shared = _Parser(add_help=False)
    shared.add_argument("--home", default=argparse.SUPPRESS, metavar="DIR", help="where everything lives")
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document")
    shared.add_argument(
        "--network-home", action="store_true", default=argparse.SUPPRESS, help="take a HOME on a network file system"
    )
    return shared


def _parse(words: list[str]) -> argparse.Namespace:
    """The panel, where nothing else is asked for, does not wait until the modules of all verbs are imported."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could stand there
        from fada_tui.cli.completion import answer

        answer(build_parser())
    args, verb = _shared().parse_known_args(words)
    if verb:
        return build_parser().parse_args(words)
    from fada_tui.cli.panel import open_panel

    args.handler = open_panel
    return args


def run(argv: Sequence[str]) -> int:
    """Run one command; the exit status is 0 done, 1 failed, 2 bad usage or input, 3 conflict."""
    as_json = "--json" in itertools.takewhile("--".__ne__, argv)
    home = resolve_home(None)
    try:
        words, command = _parted(argv)
        args = _parse(words)
        args.command = command
        if getattr(args, "network_home", False):
            os.environ["FADA_NETWORK_HOME"] = "1"
        home = resolve_home(getattr(args, "home", None))
        context = Context(home, getattr(args, "json", False))
        status = args.handler(args, context)
        sys.stdout.flush()
        return int(status or 0)
    except CommandError as error:
        print_error(error, as_json=as_json)
        return error.status
    except ModelError as error:
        wrong = UsageError(error.message, error.where, error.hint)
        print_error(wrong, as_json=as_json)
        return wrong.status
    except sqlite3.DatabaseError as error:
        explained = _mended(home) or of_database(error, home)
        print_error(explained, as_json=as_json)
        return explained.status
    except BrokenPipeError:
        silence_broken_pipe()
        return 1
    except OSError as error:
        refused = of_system(error, home)
        print_error(refused, as_json=as_json)
        return refused.status
    except KeyboardInterrupt:
        return 130


def _mended(home: Home) -> CommandError | None:
    """An index that turned out to be damaged is made again; what to tell whoever gave the command."""
    if not Context(home).mend():
        return None
    return CommandError("nothing was done", hint="give the command again")


def _parted(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of the command line, and the command of `fada run` after its ``--``.

    Any other verb keeps the ``--``: it says that a name or a text with a dash in front is no option.
    """
    words = list(argv)
    if "--" not in words:
        return words, []
    at = words.index("--")
    _, verb = _shared().parse_known_args(words[:at])
    return (words[:at], words[at + 1 :]) if verb[:1] == ["run"] else (words, [])
