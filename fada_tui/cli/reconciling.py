"""What every command does first: bring the index up to date, whatever has befallen it."""

from __future__ import annotations

import sqlite3

from db.filesystem import is_full
from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError


def tick(context: Context) -> None:
    """One tick, and a dispatcher where work waits. A damaged index is made again; on a full disk, where nothing new can
    be taken in, what was known before is what is shown, and that is said.
    """
    from backends.jobs.reconcile import tick_and_wake

    try:
        if not context.look_only:
            tick_and_wake(context.runs, context.home)
    except (sqlite3.DatabaseError, OSError, CommandError) as error:
        if is_full(context.home.root):
            context.say_full()
        elif context.mend():
            tick_and_wake(context.runs, context.home)
        elif isinstance(error, OSError):
            raise CommandError(f"{error.filename or context.home.root}: {error.strerror}") from error
        else:
            raise
