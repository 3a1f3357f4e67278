"""The tracker: import, export, models, model, items, and the edits with their undo."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from db.tracker import edits, queries
from db.tracker.errors import EditError, NoteConflict, NoteError
from db.tracker.rows import STATUS_LADDER, Model, Tracker
from db.tracker.values import ladder_status
from fada_tui.cli.context import Context
from fada_tui.cli.errors import ConflictError, UsageError
from fada_tui.cli.model_view import (
    RunIndex,
    model_document,
    model_text,
    models_text,
    shown_section,
    summary_document,
)
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    """Add the tracker's verbs to the command line."""
    add = _Adder(verbs, shared)
    add("import", import_file, "a tracker note into the database, in place of the current one").add_argument(
        "file", type=Path, metavar="FILE.md"
    )
    export = add("export", export_file, "the current note, byte-identical but for what changed")
    export.add_argument("file", type=Path, nargs="?", metavar="FILE.md", help="where to (standard output)")
    export.add_argument("--force", action="store_true", help="also over a file that holds something else")
    _register_lists(add)
    for name, handler, text in (
        ("done", mark_done, "tick an item of the checklist"),
        ("undone", mark_undone, "clear an item of the checklist"),
    ):
        add(name, handler, text).add_argument("number", type=int, metavar="N")
    for name, handler, text, metavar in (
        ("status", set_status, f"set a model's status: {', '.join(STATUS_LADDER)}", "VALUE"),
        ("note", set_note, "write a model's Notes cell", "TEXT"),
        ("alias", add_alias, "give a model another name", "NAME"),
    ):
        parser = add(name, handler, text)
        parser.add_argument("model", metavar="MODEL")
        parser.add_argument("text", nargs="+", metavar=metavar)
    add("undo", undo, "take the latest change of the tracker back")
    add("redo", redo, "make the change that was taken back once more")
    past = add("history", show_history, "who changed what in the tracker, newest first")
    past.add_argument("-n", "--limit", type=int, default=50, metavar="N", help="how many (50)")


class _Adder:
    """Adds verbs whose handlers do one reconcile tick first, as every `fada` command does."""

    def __init__(self, verbs: Verbs, shared: argparse.ArgumentParser) -> None:
        self.verbs = verbs
        self.shared = shared

    def __call__(
        self, name: str, handler: Callable[[argparse.Namespace, Context], int | None], text: str
    ) -> argparse.ArgumentParser:
        def handle(args: argparse.Namespace, context: Context) -> int | None:
            from backends.jobs.reconcile import tick_and_wake

            tick_and_wake(context.runs, context.home)
            return handler(args, context)

        parser = self.verbs.add_parser(name, parents=[self.shared], help=text, description=text)
        parser.set_defaults(handler=handle)
        return parser


def _register_lists(add: _Adder) -> None:
    models = add("models", list_models, "the models of the tracker")
    models.add_argument("text", nargs="*", metavar="TEXT", help="words that name, columns or notes must hold")
    models.add_argument("--section", metavar="TEXT", help="only sections with this in their title")
    models.add_argument("--status", metavar="VALUE", help="only this status")
    models.add_argument("--todo", action="store_true", help="only models whose status is TODO")
    add("model", show_model, "everything known of one model").add_argument("name", metavar="NAME")
    add("items", list_items, "the evaluation checklist")


@contextmanager
def _explained() -> Iterator[None]:
    """Bad input of the tracker as the command's own errors."""
    try:
        yield
    except EditError as error:
        raise UsageError(error.message, hint=error.hint) from error
    except NoteConflict as error:
        raise ConflictError(error.message, where=error.where, hint=error.hint) from error
    except NoteError as error:
        raise UsageError(error.message, where=error.where, hint=error.hint) from error


def import_file(args: argparse.Namespace, context: Context) -> None:
    """`fada import FILE.md`."""
    from db.tracker.files import read_note_file
    from db.tracker.importer import import_note

    with _explained():
        result = import_note(context.tracker, read_note_file(args.file), str(args.file), "user")
    document = {
        "models": result.models,
        "sections": result.sections,
        "items": result.items,
        "warnings": [{"line": warning.line, "text": warning.text} for warning in result.warnings],
        "added": list(result.added),
        "changed": list(result.changed),
        "absent": list(result.absent),
        "details": list(result.details),
    }

    def text() -> str:
        lines = [f"{result.models} models in {result.sections} sections, {result.items} items"]
        lines += [f"added: {name}" for name in result.added]
        lines += [f"changed: {detail}" for detail in result.details]
        lines += [f"no longer in the note (kept): {name}" for name in result.absent]
        lines += [f"warning: {args.file}:{warning.line}: {warning.text}" for warning in result.warnings]
        return "\n".join(printable(line) for line in lines)

    context.emit(document, text)


def export_file(args: argparse.Namespace, context: Context) -> None:
    """`fada export [FILE.md]`; without a file the bytes themselves go to standard output."""
    from db.tracker.export import export_note, export_to_file

    if args.file is None:
        data = export_note(context.tracker)
        if context.json:
            context.emit({"file": None, "bytes": len(data), "text": data.decode("utf-8")}, "")
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if Path(args.file).resolve() in (context.home.fada_db.resolve(), context.home.runs_db.resolve()):
        raise UsageError("this is fada's own database", where=str(args.file), hint="choose another file for the note")
    with _explained():
        count = export_to_file(context.tracker, args.file, force=args.force)
    context.emit({"file": str(args.file), "bytes": count}, lambda: printable(f"wrote {args.file}"))


def list_models(args: argparse.Namespace, context: Context) -> None:
    """`fada models`."""
    tracker = queries.load_tracker(context.tracker)
    models = _filtered(tracker, args)
    index = RunIndex(context.runs)
    context.emit([summary_document(model, index) for model in models], lambda: models_text(models, index))


def _filtered(tracker: Tracker, args: argparse.Namespace) -> list[Model]:
    models = list(tracker.models)
    if args.section is not None:
        wanted = args.section.casefold()
        models = [model for model in models if wanted in shown_section(model).casefold()]
        if not models:
            titles = dict.fromkeys(section.title for section in tracker.sections)
            raise UsageError(f"no section has {args.section!r} in its title", hint=f"sections: {'; '.join(titles)}")
    if args.status is not None:
        known = dict.fromkeys([*STATUS_LADDER, *(model.status for model in tracker.models)])
        status = ladder_status(args.status) or args.status
        if status.casefold() not in {text.casefold() for text in known}:
            raise UsageError(f"no status {args.status!r}", hint=f"one of: {', '.join(known)}")
        models = [model for model in models if model.status.casefold() == status.casefold()]
    if args.todo:
        models = [model for model in models if model.status == "TODO"]
    for word in args.text:
        models = [model for model in models if word.casefold() in _searchable(model)]
    return models


def _searchable(model: Model) -> str:
    return "\n".join([model.name, *model.aliases, *model.columns.values()]).casefold()


def show_model(args: argparse.Namespace, context: Context) -> None:
    """`fada model NAME`."""
    found = queries.find_models(context.tracker, args.name)
    if not found:
        near = queries.nearest_names(context.tracker, args.name)
        raise UsageError(f"no model {args.name!r}", hint=f"nearest: {', '.join(near)}" if near else "see `fada models`")
    if len(found) > 1:
        names = ", ".join(model.name for model in found)
        raise UsageError(f"{args.name!r} may mean several models", hint=f"give one of: {names}")
    detail = queries.model_detail(context.tracker, found[0].name)
    assert detail is not None
    document = model_document(detail, RunIndex(context.runs), context.home)
    context.emit(document, lambda: model_text(detail, document))


def list_items(args: argparse.Namespace, context: Context) -> None:
    """`fada items`."""
    items = queries.list_items(context.tracker)
    document = [
        {
            "number": item.number,
            "phase": item.phase,
            "text": item.text,
            "done": item.done,
            "models": list(item.models),
        }
        for item in items
    ]

    def text() -> str:
        lines: list[str] = []
        phase = None
        for item in items:
            if item.phase != phase:
                phase = item.phase
                mine = [other for other in items if other.phase == phase]
                lines += [*([""] if lines else []), f"{phase}  {sum(i.done for i in mine)}/{len(mine)}"]
            lines.append(f"  [{'x' if item.done else ' '}] {item.number:>2} {item.text}")
        return "\n".join(printable(line) for line in lines) or "The note has no checklist."

    context.emit(document, text)


def mark_done(args: argparse.Namespace, context: Context) -> None:
    """`fada done N`."""
    _edit(context, lambda: edits.set_item(context.tracker, args.number, True), f"item {args.number} is done already")


def mark_undone(args: argparse.Namespace, context: Context) -> None:
    """`fada undone N`."""
    _edit(context, lambda: edits.set_item(context.tracker, args.number, False), f"item {args.number} is not done")


def set_status(args: argparse.Namespace, context: Context) -> None:
    """`fada status MODEL VALUE`."""
    _edit(context, lambda: edits.set_status(context.tracker, args.model, " ".join(args.text)), "nothing to change")


def set_note(args: argparse.Namespace, context: Context) -> None:
    """`fada note MODEL TEXT`."""
    _edit(context, lambda: edits.set_note(context.tracker, args.model, " ".join(args.text)), "nothing to change")


def add_alias(args: argparse.Namespace, context: Context) -> None:
    """`fada alias MODEL NAME`."""
    _edit(context, lambda: edits.add_alias(context.tracker, args.model, " ".join(args.text)), "nothing to change")


def undo(args: argparse.Namespace, context: Context) -> None:
    """`fada undo`."""
    _edit(context, lambda: edits.undo(context.tracker), "nothing to take back")


def redo(args: argparse.Namespace, context: Context) -> None:
    """`fada redo`."""
    _edit(context, lambda: edits.redo(context.tracker), "nothing to make again")


def _edit(context: Context, change: Callable[[], list[str]], nothing: str) -> None:
    with _explained():
        changed = change()
    context.emit({"changed": changed}, lambda: "\n".join(printable(text) for text in changed) or nothing)


def show_history(args: argparse.Namespace, context: Context) -> None:
    """`fada history`."""
    if args.limit < 1:
        raise UsageError("--limit must be at least 1")
    changes = queries.history(context.tracker, args.limit)
    document = [
        {"id": change.id, "time": change.time, "who": change.who, "text": change.text, "undone": change.undone}
        for change in changes
    ]

    def text() -> str:
        return "\n".join(
            printable(
                f"{datetime.fromtimestamp(change.time):%Y-%m-%d %H:%M}  {change.who}  {change.text}"
                + ("  (taken back)" if change.undone else "")
            )
            for change in changes
        )

    context.emit(document, text)
