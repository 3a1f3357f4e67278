"""`fada` alone opens the panel."""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from db.connect import is_corruption
from db.home import Home, HomeError
from db.migrate import needs_preparing
from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.output import print_text


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser) -> None:
    """`fada` opens the panel by itself; there is no verb for it."""


def open_panel(
    args: argparse.Namespace,
    context: Context,
    start: int | None = None,
    replay: Path | None = None,
    speed: float = 1.0,
) -> int:
    """Open the panel and say, when it has closed, which jobs go on. ``start`` is a run to show at first.

    ``replay`` is a record of telemetry to play, at ``speed``, in the place of this machine.

    Raises:
        UsageError: This is no terminal, or HOME cannot be written.
        CommandError: The databases could not be brought up to date.
    """
    if getattr(args, "command", None):
        raise UsageError("a command after -- needs `fada run`", hint="fada run -- COMMAND …")
    if context.json:
        raise UsageError("the panel has no --json", hint="`fada models --json`, `fada jobs --json` …")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the panel needs a terminal", hint="`fada models` and `fada jobs` print; `fada --help` lists all"
        )
    _prepare(context)
    # So often does Textual look for what is to be drawn; at its own 60 a key, and each pass of the start, waits longer.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    gc.disable()  # what is imported stays: looking for cycles in it takes a tenth of the start. The app enables it.
    from fada_tui.app import PanelApp
    from fada_tui.sources.feeds import Wanted

    greet = start is None and replay is None and _first_time(context.home)
    app = PanelApp(context.home, greet=greet, wanted=Wanted(start, replay, speed))
    if app.config.theme is None and app.console.color_system == "standard":
        # Ours would be turned into the nearest of sixteen colours, and two of them into one.
        app.theme = "ansi"
    said = app.run(mouse=app.config.mouse)
    if said:
        print_text(said)
    # An unhandled error in Textual would otherwise end with 0.
    return app.return_code or 0


def _first_time(home: Home) -> bool:
    """Whether the panel was never opened on this HOME; from now on it was."""
    try:
        home.greeted.touch(mode=0o600, exist_ok=False)
    except OSError:  # it is there, or HOME cannot be written
        return False
    return True


def _prepare(context: Context) -> None:
    """Migrations need libraries that this process must not import, so a short one of their own runs them."""
    try:
        context.home.ensure()
        behind = needs_preparing(context.home)
    except HomeError as error:
        raise UsageError(str(error), hint=error.hint) from error
    except sqlite3.DatabaseError as error:
        if not is_corruption(error):
            raise
        from fada_tui.sources.reconciler import mend

        mend(context.home)
        behind = True
    if not behind:
        return
    code = (
        "import sys; from pathlib import Path; from db.home import Home; from fada_tui.cli.context import Context; "
        "Context(Home(Path(sys.argv[1]))).prepare()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, os.fspath(context.home.root)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise CommandError(
            f"the databases could not be brought up to date: {last[0]}",
            where=os.fspath(context.home.root),
            hint="see `fada doctor`",
        )
