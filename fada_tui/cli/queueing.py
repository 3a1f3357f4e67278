"""What the queueing verbs share: errors, waiting, and what they print."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
        raise UsageError(error.message, where=error.where, hint=error.hint) from error


def finish(context: Context, runs: Sequence[int], wait: bool) -> int:
    """Print the ids; with ``wait`` first wait for the ends, and fail where one is not done."""
    status = 0
    if wait:
        ended = show_progress(context, runs)
        status = 0 if all(run.state == "done" for run in ended) else 1
        lines = [f"#{run.id} {run.state}" + (f": {run.reason}" if run.reason else "") for run in ended]
    else:
        lines = [f"#{run} queued" for run in runs]
    context.emit({"runs": list(runs)}, "\n".join(lines))
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
