"""Edits of the tracker: done, undone, status, note, alias, add, accept, dismiss, undo, redo."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from db.tracker import edits
from db.tracker.editing.measures import write_measured
from db.tracker.measured import measured
from db.tracker.proposals import accept_all, dismiss, proposals, proposed_notes
from db.tracker.queries import find_models
from db.tracker.rows import STATUS_LADDER, Proposal
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.verbs import Adder, report, the_model
from fada_tui.text import printable


def register(add: Adder) -> None:
    """Add the verbs that write."""
    for name, handler, text in (
        ("done", mark_done, "tick items of the checklist"),
        ("undone", mark_undone, "clear items of the checklist"),
    ):
        add(name, handler, text).add_argument("numbers", type=int, nargs="+", metavar="N")
    for name, handler, text, metavar in (
        ("status", set_status, f"set a model's status: {', '.join(STATUS_LADDER)}", "VALUE"),
        ("note", set_note, "write a model's Notes cell", "TEXT"),
    ):
        parser = add(name, handler, text)
        parser.add_argument("model", metavar="MODEL")
        parser.add_argument("text", nargs="+", metavar=metavar)
        parser.epilog = f"what has a dash in front goes after --: fada {name} MODEL -- {metavar}"
        parser.add_argument("--also", nargs="+", action="extend", default=[], metavar="MODEL", help="these models too")
    alias = add("alias", set_alias, "give a model another name, or take one away")
    alias.add_argument("model", nargs="?", metavar="MODEL")
    alias.add_argument("text", nargs="*", metavar="NAME")
    alias.add_argument("--remove", metavar="NAME", help="take this name away")
    _register_add(add)
    _register_proposals(add)
    add("undo", undo, "take the latest change of the tracker back")
    add("redo", redo, "make the change that was taken back once more")


def _register_add(add: Adder) -> None:
    parser = add("add", add_model, "add a model to a section of the note")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--section", required=True, metavar="TITLE", help="the section's title, or a part of it")
    parser.add_argument(
        "--set", action="append", default=[], metavar="COLUMN=VALUE", help="a cell of the new row; again for another"
    )


def _register_proposals(add: Adder) -> None:
    parser = add(
        "accept", accept_proposal, "take over what a finished run proposes: the status, and its score as a note"
    )
    parser.add_argument("model", nargs="?", metavar="MODEL")
    parser.add_argument("--all", action="store_true", help="every proposal (`fada models --proposed` lists them)")
    parser.add_argument("--no-score", action="store_true", help="only the status; leave the Notes cell alone")
    write = add("record", record_measured, "write training times and export sizes measured here into the note's tables")
    write.add_argument("models", nargs="+", metavar="MODEL")
    refuse = add("dismiss", dismiss_proposal, "let the runs that a model has so far propose nothing more")
    refuse.add_argument("model", metavar="MODEL")


def mark_done(args: argparse.Namespace, context: Context) -> None:
    """`fada done N…`."""
    _mark(args.numbers, context, done=True)


def mark_undone(args: argparse.Namespace, context: Context) -> None:
    """`fada undone N…`."""
    _mark(args.numbers, context, done=False)


def _mark(numbers: Sequence[int], context: Context, *, done: bool) -> None:
    listed = ", ".join(map(str, numbers))
    state = "done already" if done else "not done"
    nothing = f"item {listed} is {state}" if len(numbers) == 1 else f"items {listed} are {state}"
    report(context, lambda: edits.set_items(context.tracker, numbers, done), nothing)


def set_status(args: argparse.Namespace, context: Context) -> None:
    """`fada status MODEL VALUE [--also MODEL…]`."""
    names, status = [args.model, *args.also], " ".join(args.text)
    report(context, lambda: edits.set_statuses(context.tracker, names, status), "nothing to change")


def set_note(args: argparse.Namespace, context: Context) -> None:
    """`fada note MODEL TEXT [--also MODEL…]`."""
    names, text = [args.model, *args.also], " ".join(args.text)
    report(context, lambda: edits.set_notes(context.tracker, names, text), "nothing to change")


def set_alias(args: argparse.Namespace, context: Context) -> None:
    """`fada alias MODEL NAME`, `fada alias --remove NAME`."""
    name = " ".join(args.text)
    if args.remove is not None:
        if args.model is not None:
            raise UsageError("--remove takes only the name itself", hint="fada alias --remove NAME")
        report(context, lambda: edits.remove_alias(context.tracker, args.remove), "nothing to change")
        return
    if args.model is None or not name:
        raise UsageError("an alias needs a model and a name", hint="fada alias MODEL NAME")
    report(context, lambda: edits.add_alias(context.tracker, args.model, name), "nothing to change")


def add_model(args: argparse.Namespace, context: Context) -> None:
    """`fada add NAME --section TITLE [--set COLUMN=VALUE …]`."""
    columns: dict[str, str] = {}
    for pair in args.set:
        column, sign, value = pair.partition("=")
        if not sign or not column.strip():
            raise UsageError(f"{pair!r} is not COLUMN=VALUE", hint="for instance --set Size=7B --set 'Notes=new'")
        columns[column.strip()] = value.strip()
    report(
        context,
        lambda: edits.add_model(context.tracker, args.name, args.section, columns, "user"),
        "nothing to change",
    )


def accept_proposal(args: argparse.Namespace, context: Context) -> None:
    """`fada accept MODEL`, `fada accept --all`."""
    if (args.model is None) != args.all:
        raise UsageError("say whose proposal: one model, or --all", hint="`fada models --proposed` lists them")
    chosen = list(proposals(context.tracker, context.runs).values()) if args.all else [_proposal(context, args.model)]
    accepted = [(proposal, None if args.no_score else _notes(context, proposal)) for proposal in chosen]
    report(context, lambda: accept_all(context.tracker, accepted), "nothing is proposed")
    for proposal in chosen:
        for alarm in proposal.alarms:
            print(printable(f"fada: warning: {proposal.model}, run #{proposal.run}: {alarm}"), file=sys.stderr)


def record_measured(args: argparse.Namespace, context: Context) -> None:
    """`fada record MODEL…`."""
    models = [the_model(context, name) for name in args.models]
    found = {model.name: measured(context.runs, (model.name, *model.aliases)) for model in models}
    without = [name for name, some in found.items() if not some]
    if without:
        raise UsageError(
            f"nothing was measured here of {', '.join(without)}",
            hint="a fine-tune that is done gives its time, an export its sizes",
        )
    report(context, lambda: write_measured(context.tracker, found), "the note has no row for it, or says it already")


def _notes(context: Context, proposal: Proposal) -> str | None:
    """The Notes cell to write; None where the run has nothing to add to it."""
    model = find_models(context.tracker, proposal.model)[0]
    notes = proposed_notes(model, proposal)
    return None if notes == (model.notes or "").strip() else notes


def dismiss_proposal(args: argparse.Namespace, context: Context) -> None:
    """`fada dismiss MODEL`."""
    proposal = _proposal(context, args.model)
    report(context, lambda: dismiss(context.tracker, proposal), "nothing is proposed")


def _proposal(context: Context, name: str) -> Proposal:
    model = the_model(context, name)
    proposal = proposals(context.tracker, context.runs).get(model.name)
    if proposal is None:
        raise UsageError(
            f"no finished run proposes anything for {model.name}",
            hint=f"`fada model {shlex.quote(model.name)}` shows its runs; only a higher status is proposed, and once",
        )
    return proposal


def undo(args: argparse.Namespace, context: Context) -> None:
    """`fada undo`."""
    report(context, lambda: edits.undo(context.tracker), "nothing to take back")


def redo(args: argparse.Namespace, context: Context) -> None:
    """`fada redo`."""
    report(context, lambda: edits.redo(context.tracker), "nothing to make again")
