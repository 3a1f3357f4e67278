"""What the queueing verbs share: errors, waiting, and what they print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from db.runs.rows import Run
from fada_tui.cli.context import Context
from fada_tui.cli.errors import ConflictError, UsageError
from fada_tui.text import printable


@contextmanager
def asking() -> Iterator[None]:
    """What the queue refuses is bad input (exit status 2), what would lose something is a conflict (3)."""
    from backends.jobs.errors import QueueConflict, QueueError

    try:
        yield
    except QueueConflict as error:
        raise ConflictError(error.message, where=error.where, hint=error.hint) from error
    except QueueError as error:
        raise UsageError(error.message, error.where, error.hint, error.details) from error


def add_max_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-time", metavar="TIME", help="end it after so long (2h, 90m, 3600), pauses left out; it can be resumed"
    )


def max_time(args: argparse.Namespace) -> int | None:
    """Seconds of ``--max-time``, or None.

    Raises:
        UsageError: It is no time.
    """
    from backends.jobs.limits import read_time

    if args.max_time is None:
        return None
    try:
        return read_time(args.max_time)
    except ValueError as error:
        raise UsageError(f"--max-time {error}") from error


def finish(
    context: Context, runs: Sequence[int], wait: bool, became: str = "queued", more: dict[str, Any] | None = None
) -> int:
    """Print the ids; with ``wait`` first wait for the ends, and fail where one is not done.

    Args:
        more: What the document has besides.
    """
    status = 0
    if wait:
        ended = show_progress(context, runs)
        status = 0 if all(run.state == "done" for run in ended) else 1
        lines = [f"#{run.id} {run.state}" + (f": {run.reason}" if run.reason else "") for run in ended]
    else:
        lines = [f"#{run} {became}" for run in runs]
    context.emit({"runs": list(runs), **(more or {})}, "\n".join(lines))
    return status


def show_progress(context: Context, runs: Sequence[int]) -> list[Run]:
    """Wait until the runs are over: one status line on a terminal's standard error, elsewhere a line a change."""
    from backends.jobs.queue import wait

    live = sys.stderr.isatty()

    told: dict[int, str] = {}

    def draw(now: list[Run]) -> None:
        if not live:
            for run in now:
                if told.get(run.id) != run.state:
                    told[run.id] = run.state
                    sys.stderr.write(f"#{run.id} {run.task or run.kind} {printable(run.label)} {run.state}\n")
            sys.stderr.flush()
        else:
            sys.stderr.write("\r\x1b[K" + "   ".join(_brief(run) for run in now if not run.is_over)[:160])
            sys.stderr.flush()

    try:
        return wait(context.home, runs, draw)
    finally:
        if live:
            sys.stderr.write("\r\x1b[K")


def _brief(run: Run) -> str:
    fraction = run.fraction
    percent = f" {fraction:.0%}" if fraction is not None else ""
    return f"#{run.id} {run.task or run.kind} {run.state}{percent}"
