"""`fada keys`: the panel's commands by the names that `[keys]` of config.toml takes, with the keys they have now."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from fada_tui.cli.context import Context
from fada_tui.cli.output import table

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "keys", parents=[shared], help="the panel's commands, their keys, and their names for [keys]"
    )
    parser.set_defaults(handler=show)


def show(args: argparse.Namespace, context: Context) -> None:
    """All commands in the order of the help; what config.toml says wrongly goes to standard error."""
    from fada_tui.commands.command import key_name
    from fada_tui.commands.keymap import with_keys
    from fada_tui.commands.table import TABLE
    from fada_tui.config import read_config

    wishes = read_config(context.home.config)
    commands, problems = with_keys(TABLE, wishes.keys)
    for problem in (*wishes.problems, *problems):
        sys.stderr.write(f"{context.home.config}: {problem}\n")
    document = [
        {
            "name": command.id,
            "keys": list(command.keys),
            "panes": list(command.panes),
            "description": command.description,
        }
        for command in commands
    ]
    rows = [(one.id, " ".join(map(key_name, one.keys)), " ".join(one.panes), one.description) for one in commands]
    context.emit(document, lambda: table(["NAME", "KEYS", "PANES", "WHAT IT DOES"], rows))
