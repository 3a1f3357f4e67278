"""The machine and HOME: doctor, where, reindex, backup."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.output import table
from fada_tui.format import size
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    verbs.add_parser("doctor", parents=[shared], help="what is found, what is missing, how to mend").set_defaults(
        handler=show_doctor
    )
    verbs.add_parser("where", parents=[shared], help="paths and disk use").set_defaults(handler=show_where)
    verbs.add_parser("reindex", parents=[shared], help="rebuild the index of runs").set_defaults(handler=rebuild_index)
    backup = verbs.add_parser("backup", parents=[shared], help="copy the tracker's database while it is in use")
    backup.add_argument("file", metavar="FILE", help="where to; an older copy of that name is replaced")
    backup.set_defaults(handler=back_up)


def show_doctor(args: argparse.Namespace, context: Context) -> None:
    """What is found, what is missing, and how to mend it."""
    from fada_tui.cli.checks import all_checks

    context.mends = False
    checks = all_checks(context)
    marks = {"ok": "ok", "warn": "WARN", "missing": "MISSING"}

    def text() -> str:
        width = max(len(check["check"]) for check in checks)
        lines = []
        for check in checks:
            lines.append(f"{marks[check['state']]:<8}{check['check']:<{width}}  {printable(check['detail'])}")
            if check["hint"]:
                lines.append(f"{'':<8}{'':<{width}}  → {printable(check['hint'])}")
        return "\n".join(lines)

    context.emit(checks, text)


def show_where(args: argparse.Namespace, context: Context) -> None:
    """Every path and what it takes on disk."""
    from backends.catalog.hub import cache_folder
    from backends.catalog.reader import USER_FILE
    from backends.jobs.environments import envs
    from backends.telemetry.host import disk_free

    with contextlib.suppress(CommandError):  # a HOME that cannot be used is still somewhere
        context.prepare()
    home = context.home
    paths = {
        "home": home.root,
        "config": home.config,
        "secrets": home.secrets,
        "catalog": home.root / USER_FILE,
        "tracker": home.fada_db,
        "index": home.runs_db,
        "runs": home.runs,
        "hashes": home.image_hashes,
        "environments": envs(home),
        "models": cache_folder(),
    }
    sizes = {name: disk_use(path) for name, path in paths.items()}
    document: dict[str, Any] = {name: str(path) for name, path in paths.items()}
    document |= {"bytes": sizes, "disk_free": disk_free(home.root), "remove": ["rm", "-r", str(home.root)]}

    def text() -> str:
        rows = [
            (name, str(path), "not there" if sizes[name] is None else size(sizes[name])) for name, path in paths.items()
        ]
        rows.append(("free", "", size(document["disk_free"])))
        return "\n".join(
            [table(("what", "path", "on disk"), rows, right=(2,)), "", *_removal(home.root, paths["models"])]
        )

    context.emit(document, text)


def _removal(home: Path, models: Path) -> list[str]:
    """How to be rid of everything; the models may be other programs' as well."""
    return [
        f"to remove everything: end what runs (`fada jobs`, `fada cancel ID`), then rm -r {shlex.quote(str(home))}",
        f"the models are the Hugging Face hub's own folder, which other programs share: {printable(str(models))}",
        "`fada disk` says what takes the room, `fada rm ID` and `fada prune` free some",
    ]


def disk_use(path: Path) -> int | None:
    """Bytes a file or folder takes on its disk; None where it is not there."""
    from backends.jobs.disk import bytes_of

    return bytes_of(path) if path.exists() else None


def rebuild_index(args: argparse.Namespace, context: Context) -> None:
    """Rebuild runs.db from the run directories."""
    from backends.jobs.reconcile import tick_and_wake
    from backends.jobs.reindex import is_damaged, reindex, set_aside

    moved = set_aside(context.home) if is_damaged(context.home) else None
    context.prepare()
    count = reindex(context.home)
    tick_and_wake(context.runs, context.home)
    said = f"; the damaged index is kept as {moved}" if moved else ""
    context.emit({"runs": count, "damaged": moved}, f"{count} run{'' if count == 1 else 's'} indexed{said}")


def back_up(args: argparse.Namespace, context: Context) -> None:
    """An online copy of fada.db: whole at one moment, however busy the database is.

    Raises:
        UsageError: The folder is not there, or the file is one of HOME's own.
        CommandError: It could not be written; an older copy is left as it was.
    """
    target = Path(args.file).expanduser().absolute()
    _check_target(target, context)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.touch(mode=0o600)
        with closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
            context.tracker.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, to be carried anywhere
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"the copy could not be written: {error}", str(target), "is the disk full?") from error
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + "-journal")):
            with contextlib.suppress(OSError):
                leftover.unlink()
    taken = target.stat().st_size
    context.emit({"file": str(target), "bytes": taken}, f"{target}: {size(taken)}")


def _check_target(target: Path, context: Context) -> None:
    if target.is_dir():
        raise UsageError("is a folder; name a file", str(target), f"fada backup {target / 'fada.db'}")
    if not target.parent.is_dir():
        raise UsageError("there is no such folder", str(target.parent), "make it first")
    real, home = target.resolve(), context.home
    own = [path.resolve() for path in (home.fada_db, home.runs_db)]
    beside = [path.with_name(path.name + suffix) for path in own for suffix in ("-wal", "-shm", "-journal")]
    if real in own + beside or any(path.exists() and target.exists() and target.samefile(path) for path in own):
        raise UsageError("is HOME's own database", str(target), "name another file")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
