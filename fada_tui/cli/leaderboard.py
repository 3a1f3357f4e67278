"""`fada leaderboard`: runs ranked by kind of evaluation, on the screen or as a file for a paper."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backends.leaderboard.entries import KINDS, SORTS, Board, Candidates, Query, View
from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.output import print_text, table
from fada_tui.cli.verbs import Adder

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

_FORMS = ("table", "csv", "markdown", "latex", "json")


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = Adder(verbs, shared)("leaderboard", leaderboard, "runs ranked, with intervals, floors and alarms")
    parser.add_argument("--kind", choices=KINDS, help="only this kind of evaluation")
    parser.add_argument("--metric", metavar="NAME", help="ranked by this; the kind's main one, if left out")
    parser.add_argument("--question", metavar="TOPIC", help="scores of this question")
    parser.add_argument("--category", metavar="NAME", help="scores of this category")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only models whose name holds this")
    parser.add_argument("--all", action="store_true", help="every run, not only the newest of each model")
    parser.add_argument("--sort", choices=SORTS, default="value", help="the order (value)")
    parser.add_argument("--format", choices=_FORMS, help="how it is written (table, or by the name of the file)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="into this file instead of the screen")
    parser.add_argument("--force", action="store_true", help="replace the file")


def leaderboard(args: argparse.Namespace, context: Context) -> None:
    """One board a kind; without ``--kind`` of every kind that has scores."""
    from backends.leaderboard.arrange import arrange
    from backends.leaderboard.read import kinds_there, read_candidates
    from db.tracker.queries import load_tracker

    form = _form(args, context)
    tracker = load_tracker(context.tracker)
    kinds = [args.kind] if args.kind else kinds_there(context.runs, tracker)
    view = View(newest=not args.all, text=args.filter, sort=args.sort)
    boards: list[Board] = []
    read: list[Candidates] = []
    for kind in kinds:
        found = read_candidates(context.runs, tracker, Query(kind, args.metric, args.question, args.category))
        read.append(found)
        board = arrange(found, view)
        if board:
            boards.append(board)
    if not boards and (args.metric or args.question or args.category):
        raise _nothing(args, read)
    _put(args, context, boards, form)


def _form(args: argparse.Namespace, context: Context) -> str:
    from fada_tui.leaderboard.files import SUFFIXES

    if args.format:
        return str(args.format)
    if args.output is not None:
        suffix = args.output.suffix.lower()
        if suffix not in SUFFIXES:
            raise UsageError(
                "the name of the file does not say its format",
                where=str(args.output),
                hint=f"end it in {', '.join(SUFFIXES)}, or give --format",
            )
        return SUFFIXES[suffix]
    return "json" if context.json else "table"


def _nothing(args: argparse.Namespace, read: Sequence[Candidates]) -> UsageError:
    """What was asked for is not there; what is, is named."""
    metrics = dict.fromkeys(name for found in read for name in found.metrics)
    ofs = dict.fromkeys(part for found in read for of in found.ofs for part in of if part)
    wanted = " ".join(str(part) for part in (args.kind, args.metric, args.question, args.category) if part)
    there = [f"metrics: {', '.join(metrics)}"] if metrics else []
    there += [f"questions and categories: {', '.join(ofs)}"] if ofs else []
    return UsageError(f"no scores of {wanted}", hint="; ".join(there) or "`fada scores` lists what there is")


def _put(args: argparse.Namespace, context: Context, boards: Sequence[Board], form: str) -> None:
    from fada_tui.leaderboard.files import to_document, write

    if args.output is not None:
        text = f"{_table(boards)}\n" if form == "table" else write(boards, form)
        _save(args.output, text, force=args.force)
        where = str(args.output.absolute())
        context.emit({"path": where}, f"written to {where}")
    elif context.json:
        context.emit([to_document(board) for board in boards], "")
    else:
        print_text(_table(boards) if form == "table" else write(boards, form).rstrip("\n"))


def _save(path: Path, text: str, *, force: bool) -> None:
    from db.atomic import replace_file

    target = path.expanduser()
    if target.exists() and not force:
        raise UsageError("this file is there already", where=str(target), hint="--force replaces it")
    try:
        replace_file(target, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise CommandError(f"cannot be written: {error.strerror}", where=str(target), hint="choose another") from error


def _table(boards: Sequence[Board]) -> str:
    from fada_tui.leaderboard.cells import HEAD, LEGEND, cells, heading, parts
    from fada_tui.text import printable

    if not boards:
        return "No scores yet. `fada eval MODEL --data FILE.jsonl` makes some."
    blocks = []
    for board in boards:
        lines = [heading(board)]
        for part in parts(board):
            lines += ["", *(printable(text) for text in (part.title, *part.said))]
            lines.append(table(HEAD, [cells(board, entry) for entry in part.entries], (3, 5, 6, 7), {1: 44}))
        blocks.append("\n".join(lines))
    return "\n\n\n".join([*blocks, LEGEND])
