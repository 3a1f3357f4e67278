"""What the tracker's verbs share: a reconcile tick first, the tracker's errors as the command's own."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db.tracker.errors import EditError, NoteConflict, NoteError
from db.tracker.queries import find_models, nearest_names
from db.tracker.rows import Model
from fada_tui.cli.context import Context
from fada_tui.cli.errors import ConflictError, UsageError
from fada_tui.cli.reconciling import tick
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

Handler = Callable[[argparse.Namespace, Context], int | None]


class Adder:
    """Adds verbs whose handlers do one reconcile tick first, as every `fada` command does."""

    def __init__(self, verbs: Verbs, shared: argparse.ArgumentParser) -> None:
        self.verbs = verbs
        self.shared = shared

    def __call__(self, name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
        def handle(args: argparse.Namespace, context: Context) -> int | None:
            tick(context)
            return handler(args, context)

        parser = self.verbs.add_parser(name, parents=[self.shared], help=text, description=text)
        parser.set_defaults(handler=handle)
        return parser


@contextmanager
def explained() -> Iterator[None]:
    """Bad input of the tracker as the command's own errors."""
    try:
        yield
    except EditError as error:
        raise UsageError(error.message, hint=error.hint) from error
    except NoteConflict as error:
        raise ConflictError(error.message, where=error.where, hint=error.hint) from error
    except NoteError as error:
        raise UsageError(error.message, where=error.where, hint=error.hint) from error


def report(context: Context, change: Callable[[], list[str]], nothing: str) -> None:
    """Make a change and print what it changed, or the word for that nothing was to do."""
    with explained():
        changed = change()
    context.emit({"changed": changed}, lambda: "\n".join(printable(text) for text in changed) or nothing)


def the_model(context: Context, name: str) -> Model:
    """The one tracked model that a name means: the tracker's own names first, then those of the catalogue (a repo, a
    size of it).

    Raises:
        UsageError: None (with the nearest names), or several.
    """
    found = find_models(context.tracker, name) or _by_catalogue(context, name)
    if not found:
        near = nearest_names(context.tracker, name)
        raise UsageError(f"no model {name!r}", hint=f"nearest: {', '.join(near)}" if near else "see `fada models`")
    if len(found) > 1:
        names = ", ".join(model.name for model in found)
        raise UsageError(f"{name!r} may mean several models", hint=f"give one of: {names}")
    return found[0]


def _by_catalogue(context: Context, name: str) -> list[Model]:
    from backends.catalog.reader import USER_FILE, load_catalog

    entry = load_catalog(context.home.root / USER_FILE).find(name)
    if entry is None:
        return []
    found = find_models(context.tracker, entry.name)
    if not found:
        raise UsageError(
            f"{entry.name} is in the catalogue, not in the tracker",
            hint=f'`fada add` puts it there; `fada estimate "{entry.name}"` tells what it takes',
        )
    return found
