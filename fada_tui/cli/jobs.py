"""The queue and the history: jobs, job, log, cancel, pause, retry, resume, hold, release, move, rm."""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from db.filesystem import is_full
from db.runs.rows import Run
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.job_view import as_document, no_run, show_job
from fada_tui.cli.output import print_text, table
from fada_tui.cli.queueing import asking, finish
from fada_tui.cli.reconciling import tick
from fada_tui.format import duration, rate, size_pair
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

FOLLOW_POLL_S = 0.2


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    jobs = verbs.add_parser("jobs", parents=[shared], help="the queue and the history, oldest first")
    jobs.add_argument("--state", action="append", default=[], help="only these states")
    jobs.add_argument("--tag", action="append", default=[], help="only runs with this tag (each of several)")
    jobs.add_argument("--archived", action="store_true", help="only those that were put away")
    jobs.add_argument("--all", action="store_true", help="also those that were put away")
    jobs.set_defaults(handler=list_jobs)
    job = verbs.add_parser("job", parents=[shared], help="one run with its spec, metrics and messages")
    job.add_argument("id", type=int, metavar="ID")
    job.set_defaults(handler=show_job)
    log = verbs.add_parser("log", parents=[shared], help="a run's log")
    log.add_argument("id", type=int, metavar="ID")
    log.add_argument("-f", "--follow", action="store_true", help="go on until the run is over")
    log.add_argument("-n", "--lines", type=int, default=200, metavar="N", help="only the last N lines (200)")
    log.set_defaults(handler=show_log)
    cancel = _verb(verbs, shared, "cancel", "end a run", cancel_run)
    cancel.add_argument("--save", action="store_true", help="stop and save: `fada resume` goes on from there")
    _verb(verbs, shared, "pause", "stop a run's processes for now; it keeps its memory", pause_run)
    _verb(verbs, shared, "hold", "keep a queued run from starting", hold_run)
    _verb(verbs, shared, "release", "let a held run start", release_run)
    remove = _verb(verbs, shared, "rm", "delete a finished run and its files", remove_run)
    remove.add_argument("--force", action="store_true", help="also where other runs used what it left")
    move = _verb(verbs, shared, "move", "change the order of the queue", move_run)
    move.add_argument("--before", type=int, required=True, metavar="ID")
    for name, text, handler in (
        ("retry", "queue a new run with the same spec", retry_run),
        ("resume", "go on: after a pause, or from the last answer or checkpoint", resume_run),
    ):
        verb = _verb(verbs, shared, name, text, handler)
        verb.add_argument("--wait", action="store_true")
    verb.add_argument("--max-requests", type=int, metavar="N", help="raise the budget of a run on a server")
    verb.add_argument("--max-cost", type=float, metavar="X", help="the same, of money")


def _verb(
    verbs: Verbs,
    shared: argparse.ArgumentParser,
    name: str,
    text: str,
    handler: Callable[[argparse.Namespace, Context], int | None],
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, parents=[shared], help=text)
    parser.add_argument("id", type=int, metavar="ID")
    parser.set_defaults(handler=handler)
    return parser


def list_jobs(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.forecast import in_words
    from backends.jobs.outlook import outlook
    from db.runs.queries import list_runs, with_tags
    from db.runs.states import STATES

    unknown = set(args.state) - set(STATES)
    if unknown:
        raise UsageError(f"there is no state {unknown.pop()!r}", hint=f"known: {', '.join(STATES)}")
    tick(context)
    found = with_tags(list_runs(context.runs, archived=args.all or args.archived), args.tag)
    runs = [run for run in found if (run.state in args.state or not args.state) and (run.archived or not args.archived)]

    def text() -> str:
        now = time.time()
        done = in_words(outlook(context.runs, now), now).long
        return _listing(runs) + (f"\n{done}" if done else "")

    context.emit([as_document(run) for run in runs], text)


def _listing(runs: list[Run]) -> str:
    if not runs:
        return "No runs here. `fada demo` makes some; `fada eval MODEL --data FILE.jsonl` queues one."
    rows = [
        (
            f"#{run.id}",
            run.task or run.export or run.kind,
            run.label,
            run.state,
            _progress(run),
            _times(run),
            run.reason or "",
        )
        for run in runs
    ]
    head = ("run", "kind", "model", "state", "progress", "time", "why")
    return table(head, rows, right=(0, 4, 5), limits={2: 40})


def _progress(run: Run) -> str:
    if run.fraction is None:
        return ""
    if run.unit == "bytes" and run.is_active:
        speed = f", {rate(run.rate, run.unit)}" if run.rate else ""
        return f"{size_pair(run.done, run.total)}{speed}"
    return f"{run.done}/{run.total} {run.unit or ''}".strip() if run.is_active else f"{run.fraction:.0%}"


def _times(run: Run) -> str:
    if run.eta_s is not None and not run.reason:  # one that was asked to stop does not go on to its end
        return f"{duration(run.eta_s)} to go"
    if run.started and run.ended:
        return f"took {duration(run.ended - run.started)}"
    if run.started and run.is_active:
        return f"for {duration(time.time() - run.started)}"
    if run.started:
        return f"began {duration(time.time() - run.started)} ago"
    if run.ended:  # brought in, or taken out of the queue
        return f"ended {duration(time.time() - run.ended)} ago"
    return f"queued {duration(time.time() - run.created)} ago"


def show_log(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.ingest import ingest
    from backends.jobs.logs import read_from, tail_bytes
    from db.runs.queries import get_run

    tick(context)
    run = get_run(context.runs, args.id)
    if run is None:
        raise no_run(args.id)
    path = context.home.run_dir(args.id) / "log.txt"
    data, offset = tail_bytes(path, max(0, args.lines))
    if context.json:
        context.emit({"run": args.id, "log": data.decode(errors="replace"), "size": offset}, "")
        return
    _print_log(data)
    while args.follow:
        over = run is None or run.is_over
        data, offset = read_from(path, offset)
        _print_log(data)
        if over and not data:
            return
        if not data:
            time.sleep(FOLLOW_POLL_S)
        if not context.look_only:
            with suppress(sqlite3.OperationalError):  # the disk is full: the log is shown all the same
                ingest(context.runs, context.home, args.id)
        run = get_run(context.runs, args.id)


def _print_log(data: bytes) -> None:
    """A job's output is data: on a terminal its escapes are shown, not obeyed; into a pipe it goes as it is."""
    if not data:
        return
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    print_text("\n".join(printable(line) for line in data.decode(errors="replace").splitlines()))
    sys.stdout.flush()


def cancel_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import cancel

    _edit(context, lambda: cancel(context.home, args.id, save=args.save), prepare=not is_full(context.home.root))


def pause_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import pause

    _edit(context, lambda: pause(context.home, args.id))


def hold_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import hold

    _edit(context, lambda: hold(context.home, args.id))


def release_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import release

    _edit(context, lambda: release(context.home, args.id))


def remove_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import remove

    # On a full disk nothing can be prepared; this is what makes room.
    _edit(context, lambda: remove(context.home, args.id, args.force), prepare=not is_full(context.home.root))


def move_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import move

    _edit(context, lambda: move(context.home, args.id, args.before))


def retry_run(args: argparse.Namespace, context: Context) -> int:
    from backends.jobs.queue import retry

    context.prepare()
    with asking():
        run = retry(context.home, args.id)
    return finish(context, [run], args.wait)


def resume_run(args: argparse.Namespace, context: Context) -> int:
    from backends.jobs.queue import resume
    from db.runs.queries import get_run

    context.prepare()
    with asking():
        run = resume(context.home, args.id, _budget(args))
    now = get_run(context.runs, run)
    return finish(context, [run], args.wait, "goes on" if now and now.is_active else "queued")


def _budget(args: argparse.Namespace) -> dict[str, float]:
    given = {name: getattr(args, name) for name in ("max_requests", "max_cost") if getattr(args, name) is not None}
    wrong = next((name for name, value in given.items() if not 0 < value < float("inf")), None)
    if wrong:
        raise UsageError(f"--{wrong.replace('_', '-')} {given[wrong]:g}: it must be above 0")
    return given


def _edit(context: Context, change: Callable[[], list[str]], prepare: bool = True) -> None:
    if prepare:
        context.prepare()
    with asking():
        changed = change()
    context.emit({"changed": changed}, "\n".join(changed))
