"""The queue and the history: jobs, job, log, cancel, retry, resume, hold, release, move, rm."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from db.runs.rows import Run
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import print_text, table
from fada_tui.cli.queueing import asking, finish
from fada_tui.cli.results import value_text
from fada_tui.format import duration, size
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

FOLLOW_POLL_S = 0.2


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    jobs = verbs.add_parser("jobs", parents=[shared], help="the queue and the history, oldest first")
    jobs.add_argument("--state", action="append", default=[], help="only these states")
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
    cancel.add_argument("--save", action="store_true", help="training: write a checkpoint first")
    _verb(verbs, shared, "hold", "keep a queued run from starting", hold_run)
    _verb(verbs, shared, "release", "let a held run start", release_run)
    remove = _verb(verbs, shared, "rm", "delete a finished run and its files", remove_run)
    remove.add_argument("--force", action="store_true", help="also where other runs used what it left")
    move = _verb(verbs, shared, "move", "change the order of the queue", move_run)
    move.add_argument("--before", type=int, required=True, metavar="ID")
    for name, text, handler in (
        ("retry", "queue a new run with the same spec", retry_run),
        ("resume", "go on from the last answer or checkpoint", resume_run),
    ):
        _verb(verbs, shared, name, text, handler).add_argument("--wait", action="store_true")


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
    from db.runs.queries import list_runs
    from db.runs.rows import STATES

    unknown = set(args.state) - set(STATES)
    if unknown:
        raise UsageError(f"there is no state {unknown.pop()!r}", hint=f"known: {', '.join(STATES)}")
    _tick(context)
    runs = [run for run in list_runs(context.runs) if not args.state or run.state in args.state]
    context.emit([as_document(run) for run in runs], lambda: _listing(runs))


def as_document(run: Run) -> dict[str, Any]:
    """The shape of `fada jobs --json`."""
    keys = ("id", "kind", "task", "model", "state", "reason", "exit_code", "signal", "attempt", "created")
    document = {key: getattr(run, key) for key in keys} | {"started": run.started, "ended": run.ended}
    document["progress"] = {"done": run.done, "total": run.total, "unit": run.unit}
    document["after"] = list(run.after)
    for key in ("reserved_bytes", "peak_bytes", "run_dir", "fingerprint"):
        document[key] = getattr(run, key)
    return document


def _listing(runs: list[Run]) -> str:
    if not runs:
        return "No runs yet. `fada demo` makes some; `fada eval MODEL --data FILE.jsonl` queues one."
    rows = [
        (f"#{run.id}", run.task or run.kind, run.label, run.state, _progress(run), _times(run), run.reason or "")
        for run in runs
    ]
    head = ("run", "kind", "model", "state", "progress", "time", "why")
    return table(head, rows, right=(0, 4, 5), limits={2: 40})


def _progress(run: Run) -> str:
    if run.fraction is None:
        return ""
    return f"{run.done}/{run.total} {run.unit or ''}".strip() if run.is_active else f"{run.fraction:.0%}"


def _times(run: Run) -> str:
    if run.eta_s is not None:
        return f"{duration(run.eta_s)} to go"
    if run.started and run.ended:
        return f"took {duration(run.ended - run.started)}"
    if run.started and run.is_active:
        return f"for {duration(time.time() - run.started)}"
    return f"queued {duration(time.time() - run.created)} ago"


def show_job(args: argparse.Namespace, context: Context) -> None:
    from db.runs.queries import run_detail, scores

    _tick(context)
    detail = run_detail(context.runs, args.id)
    if detail is None:
        raise _no_run(args.id)
    found = scores(context.runs, args.id, overall_only=True)
    metrics = {
        name: {"last": item.last, "count": item.count, "min": item.min, "max": item.max}
        for name, item in detail.metrics.items()
    }
    said = [asdict(message) for message in detail.messages]
    document = {**as_document(detail.run), "spec": detail.spec, "metrics": metrics, "messages": said}

    def text() -> str:
        run = detail.run
        lines = [
            f"#{run.id} {run.task or run.kind} {run.label}: {run.state}" + (f" ({run.reason})" if run.reason else ""),
            f"attempt {run.attempt}, reserved {size(run.reserved_bytes)}, peak {size(run.peak_bytes)}",
            f"directory {run.run_dir}",
            *_spec_lines(detail.spec),
        ]
        lines += [f"{score.metric} {value_text(score)}, n {score.n}" for score in found if not score.partial]
        lines += [f"{name}: last {item.last:.4g}, {item.count} values" for name, item in detail.metrics.items()]
        lines += [f"{message.level}: {message.text}" for message in detail.messages[-20:]]
        return "\n".join(printable(line) for line in lines)

    context.emit(document, text)


def _spec_lines(spec: dict[str, Any]) -> list[str]:
    """What was asked for, as far as this kind of run has it."""
    data, model, training = spec.get("data") or {}, spec.get("model") or {}, spec.get("training") or {}
    lines = []
    if spec.get("command"):
        lines.append(f"command {shlex.join(spec['command'])}")
    if model:
        lines.append(
            f"model {model['source']}" + (f" with what #{model['from_run']} left" if model["from_run"] else "")
        )
    if data:
        limit = f", {data['limit']} of them" if data.get("limit") else ""
        lines.append(f"data {data['path']} ({data['samples']} questions{limit}), images in {data['image_root']}")
    if training:
        shown = {
            key: value for key, value in training.items() if value is not None and key not in ("eval_data", "lora")
        }
        lines.append("training " + ", ".join(f"{key} {value}" for key, value in shown.items()))
        if training.get("eval_data"):
            lines.append(f"held-out {training['eval_data']['path']}")
    return lines


def show_log(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.ingest import ingest
    from backends.jobs.logs import read_from, tail_bytes
    from db.runs.queries import get_run

    _tick(context)
    run = get_run(context.runs, args.id)
    if run is None:
        raise _no_run(args.id)
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

    _edit(context, lambda: cancel(context.home, args.id, save=args.save))


def hold_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import hold

    _edit(context, lambda: hold(context.home, args.id))


def release_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import release

    _edit(context, lambda: release(context.home, args.id))


def remove_run(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.queue import remove

    _edit(context, lambda: remove(context.home, args.id, args.force))


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

    context.prepare()
    with asking():
        run = resume(context.home, args.id)
    return finish(context, [run], args.wait)


def _edit(context: Context, change: Callable[[], list[str]]) -> None:
    context.prepare()
    with asking():
        changed = change()
    context.emit({"changed": changed}, "\n".join(changed))


def _tick(context: Context) -> None:
    from backends.jobs.reconcile import tick_and_wake

    tick_and_wake(context.runs, context.home)


def _no_run(run_id: int) -> UsageError:
    return UsageError(f"there is no run #{run_id}", hint="`fada jobs` lists them")
