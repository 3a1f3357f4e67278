"""`fada sync`: the note and its file, both ways."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import ConflictError, UsageError
from fada_tui.cli.output import print_error
from fada_tui.cli.verbs import Adder, explained
from fada_tui.text import printable

if TYPE_CHECKING:
    from db.tracker.merging.merge import Conflict
    from db.tracker.sync import SyncPlan
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    """Add ``sync`` to the command line."""
    parser = Adder(verbs, shared)("sync", sync, "the note and its file brought in step, merged both ways")
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE.md", help="the one that the note came from, if left out"
    )
    choice = parser.add_mutually_exclusive_group()
    for side, text in (("ours", "settle conflicts by what the note says here"), ("theirs", "… by what the file says")):
        choice.add_argument(f"--{side}", dest="prefer", action="store_const", const=side, help=text)
    parser.add_argument("--dry-run", action="store_true", help="say what it would do; write nothing")


def sync(args: argparse.Namespace, context: Context) -> int:
    """`fada sync [FILE.md]`; exit status 3 with a list where both sides changed the same place."""
    from db.tracker.sync import plan_sync, sync_note

    path = _file(args, context)
    with explained():
        if args.dry_run:
            plan = plan_sync(context.tracker, path, args.prefer)
            return _say(context, path, _planned(plan), plan.conflicts, f"{path} and the note say the same")
        result = sync_note(context.tracker, path, prefer=args.prefer)
    return _say(context, path, result.changed, result.conflicts, f"{path} and the note say the same")


def _file(args: argparse.Namespace, context: Context) -> Path:
    from db.tracker.sync import note_file

    path: Path | None = args.file or note_file(context.tracker)
    if path is None:
        raise UsageError("the note came from no file", hint="name one: `fada sync FILE.md`")
    return path


def _planned(plan: SyncPlan) -> list[str]:
    lines = [f"would come in: {text}" for text in plan.incoming]
    if plan.creates:
        return [*lines, f"would create {plan.path}"]
    return [*lines, *(f"would go out: {text}" for text in plan.outgoing)]


def _say(context: Context, path: Path, changed: list[str], conflicts: tuple[Conflict, ...], nothing: str) -> int:
    if not conflicts:
        context.emit({"changed": changed, "conflicts": []}, "\n".join(map(printable, changed)) or printable(nothing))
        return 0
    count = f"{len(conflicts)} conflict{'s' * (len(conflicts) != 1)}"
    error = ConflictError(
        f"{count}: the note and the file changed the same place; nothing was written",
        where=str(path),
        hint="`--ours` keeps what the note says here, `--theirs` what the file says; the panel (S) asks for each",
    )
    document: dict[str, Any] = {
        "changed": changed,
        "conflicts": [vars(conflict) for conflict in conflicts],
        "error": {"message": error.message, "where": error.where, "hint": error.hint},
    }
    context.emit(document, "\n".join([*map(printable, changed), *map(_conflict_text, conflicts)]))
    print_error(error, as_json=False)
    return error.status


def _conflict_text(conflict: Conflict) -> str:
    lines = [f"line {conflict.line}" + (f": {conflict.what}" if conflict.what != "line" else "")]
    for side, text in (("was", conflict.base), ("ours", conflict.ours), ("theirs", conflict.theirs)):
        lines += [f"  {side:<6}  {line}" for line in text.split("\n") or [""]]
    return "\n".join(printable(line).rstrip() for line in lines)
