"""The tracker: import, export, models, model, items, history; the verbs that edit are in ``tracker_edits``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.tracker import queries
from db.tracker.rows import Change
from fada_tui.cli import stats, tracker_edits
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.model_filter import filtered, register_filters
from fada_tui.cli.model_view import RunIndex, model_document, model_text, models_text, summary_document
from fada_tui.cli.verbs import Adder, explained, the_model
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

LISTED = 20
"""So many lines of a kind does an import print."""


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    """Add the tracker's verbs to the command line."""
    add = Adder(verbs, shared)
    add("import", import_file, "a tracker note into the database, in place of the current one").add_argument(
        "file", type=Path, metavar="FILE.md"
    )
    export = add("export", export_file, "the current note, byte-identical but for what changed")
    export.add_argument("file", type=Path, nargs="?", metavar="FILE.md", help="where to (standard output)")
    export.add_argument("--force", action="store_true", help="also over a file that holds something else")
    register_filters(add("models", list_models, "the models of the tracker"))
    add("model", show_model, "everything known of one model").add_argument("name", metavar="NAME")
    add("items", list_items, "the evaluation checklist")
    stats.register(add)
    tracker_edits.register(add)
    past = add("history", show_history, "who changed what in the tracker, newest first")
    past.add_argument("model", nargs="?", metavar="MODEL", help="only changes of this model")
    past.add_argument("-n", "--limit", type=int, default=50, metavar="N", help="how many (50)")


def import_file(args: argparse.Namespace, context: Context) -> None:
    """`fada import FILE.md`."""
    from db.tracker.disk.files import read_note_file
    from db.tracker.importer import import_note

    with explained():
        result = import_note(context.tracker, read_note_file(args.file), str(args.file), "user", path=args.file)
    document = {
        "models": result.models,
        "sections": result.sections,
        "items": result.items,
        "warnings": [{"line": warning.line, "text": warning.text} for warning in result.warnings],
        "added": list(result.added),
        "changed": list(result.changed),
        "absent": list(result.absent),
        "details": list(result.details),
        "renamed": [{"old": old, "new": new} for old, new in result.renamed],
        "contents": result.contents,
    }

    def text() -> str:
        lines = [f"{result.models} models in {result.sections} sections, {result.items} items"]
        lines += [
            f"{part}: {', '.join(f'{number} {what}' for what, number in counts.items())}"
            for part, counts in result.contents.items()
        ]
        lines += _first("added: ", result.added)
        lines += _first("changed: ", result.details)
        if result.untouched and result.absent:
            lines.append(
                f"the note that comes with fada is replaced; nothing was written in it ({_kept(result.absent)})"
            )
        else:
            lines += _first("no longer in the note (kept): ", result.absent)
        lines += _first("warning: ", [f"{args.file}:{warning.line}: {warning.text}" for warning in result.warnings])
        return "\n".join(printable(line) for line in lines)

    context.emit(document, text)


def _first(word: str, texts: Sequence[str]) -> list[str]:
    """A line each, and how many more there are: nobody reads 100,000."""
    more = [f"{word}… and {len(texts) - LISTED:,} more (--json has all)"] if len(texts) > LISTED else []
    return [*(f"{word}{text}" for text in texts[:LISTED]), *more]


def _kept(absent: Sequence[str]) -> str:
    return f"{len(absent)} of its models are no longer listed, and kept"


def export_file(args: argparse.Namespace, context: Context) -> None:
    """`fada export [FILE.md]`; without a file, or with ``-``, the bytes themselves go to standard output."""
    from db.tracker.export import export_note, export_to_file

    if args.file in (None, Path("-")):
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
    with explained():
        count = export_to_file(context.tracker, args.file, force=args.force)
    context.emit({"file": str(args.file), "bytes": count}, lambda: printable(f"wrote {args.file}"))


def list_models(args: argparse.Namespace, context: Context) -> None:
    """`fada models`."""
    tracker = queries.load_tracker(context.tracker)
    index = RunIndex(context.tracker, context.runs)
    models = filtered(tracker, args, index)
    context.emit(
        [summary_document(model, index) for model in models],
        lambda: models_text(models, index, flat=args.sort is not None),
    )


def show_model(args: argparse.Namespace, context: Context) -> None:
    """`fada model NAME`."""
    detail = queries.model_detail(context.tracker, the_model(context, args.name).name)
    assert detail is not None
    document = model_document(detail, RunIndex(context.tracker, context.runs), context.home)
    changes = queries.history(context.tracker, model=detail.model.name)
    document["history"] = _history_document(changes)
    context.emit(
        document,
        lambda: "\n".join(
            [model_text(detail, document), *(f"change: {_change_line(change)}" for change in changes[:5])]
        ),
    )


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


def show_history(args: argparse.Namespace, context: Context) -> None:
    """`fada history [MODEL]`."""
    if args.limit < 1:
        raise UsageError("--limit must be at least 1", hint="leave it out for the latest 50")
    name = None if args.model is None else the_model(context, args.model).name
    changes = queries.history(context.tracker, args.limit, model=name)
    context.emit(
        _history_document(changes), lambda: "\n".join(map(_change_line, changes)) or f"Nothing of {name} was changed."
    )


def _history_document(changes: list[Change]) -> list[dict[str, Any]]:
    return [
        {
            "id": change.id,
            "time": change.time,
            "who": change.who,
            "text": change.text,
            "undone": change.undone,
            "models": list(change.models),
        }
        for change in changes
    ]


def _change_line(change: Change) -> str:
    when = f"{datetime.fromtimestamp(change.time):%Y-%m-%d %H:%M}"
    return printable(f"{when}  {change.who}  {change.text}" + ("  (taken back)" if change.undone else ""))
