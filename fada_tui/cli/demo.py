"""`fada demo`: the whole way of a job on any machine, with scores before and after."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError
from fada_tui.cli.queueing import add_max_time, max_time, show_progress
from fada_tui.cli.results import as_document
from fada_tui.cli.scoretext import score_line

if TYPE_CHECKING:
    from db.runs.rows import Score
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "demo", parents=[shared], help="evaluate → fine-tune → evaluate a tiny model, here and now"
    )
    parser.add_argument("--headless", action="store_true", help="wait and print instead of opening the panel")
    add_max_time(parser)
    parser.set_defaults(handler=demo)


def demo(args: argparse.Namespace, context: Context) -> int:
    from backends.jobs.launch import enqueue_demo

    context.prepare()
    limit = max_time(args)
    began = time.monotonic()
    prepare = enqueue_demo(context.home, limit)
    if not (args.headless or context.json):
        from fada_tui.cli.panel import open_panel

        return int(open_panel(args, context) or 0)
    runs = _chain(context, prepare)
    ended = show_progress(context, runs)
    for run in ended:
        if run.state != "done":
            raise CommandError(
                f"#{run.id} {run.kind}: {run.state}: {run.reason}", hint=f"`fada log {run.id}` says more"
            )
    document = {
        "base": as_document(_exact(context, runs[0])),
        "tuned": as_document(_exact(context, runs[2])),
        "seconds": round(time.monotonic() - began, 1),
        "runs": runs,
    }
    context.emit(document, lambda: _text(context, runs, document["seconds"]))
    return 0


def _chain(context: Context, prepare: int) -> list[int]:
    """The three runs that the demo job has queued."""
    from db.runs.queries import summary

    (ended,) = show_progress(context, [prepare])
    runs = summary(context.runs, prepare).get("runs")
    if ended.state != "done" or not runs:
        raise CommandError(f"the demo was not made: {ended.reason}", hint=f"`fada log {prepare}` says more")
    return [int(run) for run in runs]


def _exact(context: Context, run: int) -> Score:
    from db.runs.queries import scores

    for score in scores(context.runs, run, overall_only=True):
        if score.metric == "exact" and not score.partial:
            return score
    raise CommandError(f"run #{run} left no exact score", hint=f"`fada log {run}` says more")


def _text(context: Context, runs: list[int], seconds: Any) -> str:
    lines = []
    for label, run in (("before", runs[0]), ("after", runs[2])):
        lines.append(f"{label:7} #{run}  {score_line(_exact(context, run))}")
    lines.append(f"{seconds} s; held-out questions that training never saw. `fada` shows it, `fada scores` lists it.")
    return "\n".join(lines)
