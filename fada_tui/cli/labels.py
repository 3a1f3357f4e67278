"""What people write on runs: tag, describe, archive, unarchive."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from fada_tui.cli.context import Context
from fada_tui.cli.queueing import asking
from fada_tui.cli.reconciling import tick
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    tag = verbs.add_parser("tag", parents=[shared], help="give a run tags")
    tag.add_argument("id", type=int, metavar="ID")
    tag.add_argument("tags", nargs="+", metavar="TAG", help="one word each")
    tag.add_argument("--remove", action="store_true", help="take these tags away instead")
    tag.set_defaults(handler=tag_run)
    describe = verbs.add_parser("describe", parents=[shared], help="write a note on a run")
    describe.add_argument("id", type=int, metavar="ID")
    describe.add_argument("text", metavar="TEXT", help='"" takes the note away')
    describe.set_defaults(handler=describe_run)
    for name, text, handler in (
        ("archive", "leave finished runs out of the lists; nothing is deleted", archive_runs),
        ("unarchive", "bring archived runs back into the lists", unarchive_runs),
    ):
        parser = verbs.add_parser(name, parents=[shared], help=text)
        parser.add_argument("ids", type=int, nargs="+", metavar="ID")
        parser.set_defaults(handler=handler)


def tag_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.labelling import tag

    _edit(context, lambda: tag(context.home, args.id, args.tags, args.remove))


def describe_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.labelling import describe

    _edit(context, lambda: describe(context.home, args.id, args.text))


def archive_runs(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.labelling import archive

    _edit(context, lambda: archive(context.home, args.ids))


def unarchive_runs(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.labelling import archive

    _edit(context, lambda: archive(context.home, args.ids, archived=False))


def _edit(context: Context, change: Callable[[], list[str]]) -> None:
    tick(context)
    with asking():
        changed = change()
    context.emit({"changed": changed}, "\n".join(printable(line) for line in changed))
