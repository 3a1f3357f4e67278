"""What every command handler is handed: HOME, migrated and ready, and how to answer."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from db.connect import connect, is_corruption, is_damaged
from db.filesystem import is_full
from db.home import Home, HomeError
from db.migrate import behind, migrate, needs_migration, needs_preparing
from fada_tui.cli.errors import FULL_HINT, CommandError, DiskFull, UsageError, of_database, of_system
from fada_tui.cli.output import print_json, print_text


class _LookOnly(sqlite3.Connection):
    """Says in a person's words why nothing can be changed."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_READONLY"):
                raise
            where = str(super().execute("PRAGMA database_list").fetchone()[2])
            if is_full(Path(where).parent):
                raise DiskFull("the disk is full", where, FULL_HINT) from error
            raise UsageError(
                "this HOME cannot be written: it can only be looked at",
                where=where,
                hint="choose another folder with --home DIR or FADA_HOME, or make this one writable",
            ) from error


@dataclass
class Context:
    """``json`` asks for one JSON document on standard output."""

    home: Home
    json: bool = False
    look_only: bool = False
    """Nothing can be written: the databases are read as they stand."""
    mends: bool = True
    """A damaged index is made again as soon as it is noticed; who only examines leaves it."""
    _said: set[str] = field(default_factory=set)

    @cached_property
    def tracker(self) -> sqlite3.Connection:
        """fada.db, migrated, with the shipped note imported where there is none."""
        return self._open(self.home.fada_db)

    @cached_property
    def runs(self) -> sqlite3.Connection:
        """runs.db, migrated; what is wrong with the tracker's database is said, and keeps nobody from the queue."""
        return self._open(self.home.runs_db)

    def _open(self, path: Path) -> sqlite3.Connection:
        if self.home.is_read_only():
            self.look_only = True
            return self._look_at(path)
        try:
            self._prepare_for(path)
            return connect(path)
        except (DiskFull, sqlite3.OperationalError):
            if not is_full(self.home.root):
                raise
            self.say_full()
            self.look_only = True
            return self._look_at(path)

    def _prepare_for(self, path: Path) -> None:
        try:
            self.prepare()
        except UsageError:
            raise
        except CommandError as error:
            if path != self.home.runs_db or not is_damaged(self.home.fada_db) or behind(self.home.runs_db):
                raise
            self._say(f"the tracker's database cannot be used: {error.message}; `fada doctor` says what to do")

    def mend(self) -> bool:
        """The index can be made again where it is damaged: nobody need be asked. Whether it was, which is said."""
        from backends.jobs.reindex import mend

        try:
            kept = mend(self.home) if self.mends and not self.home.is_read_only() else None
        except (OSError, sqlite3.Error):
            return False
        if kept is not None:
            vars(self).pop("runs", None)
            said = "the index of runs was damaged: rebuilt from the run directories; the damaged one is kept as"
            self._say(f"{said} {kept}")
        return kept is not None

    def say_full(self) -> None:
        self._say(f"{self.home.root}: the disk is full: what follows was known before, and nothing new is taken in")

    def _say(self, text: str) -> None:
        """Once, on standard error."""
        if text not in self._said:
            self._said.add(text)
            print(text, file=sys.stderr)

    def _look_at(self, path: Path) -> sqlite3.Connection:
        """A database of a HOME that cannot be written: verbs that only read work, the others say why they do not."""
        if needs_migration(self.home):
            raise UsageError(
                "this HOME cannot be written, and its databases are absent or of an older version",
                where=str(self.home.root),
                hint="make it writable once, or copy the folder to where it can be written",
            )
        return connect(path, read_only=True, factory=_LookOnly)

    def prepare(self) -> None:
        """Create HOME, migrate, and import the shipped note on a fresh one.

        Raises:
            UsageError: HOME cannot be written, or a database is damaged or too new.
        """
        try:
            self.home.ensure()
            if needs_preparing(self.home):
                from db.tracker.importer import import_default

                migrate(self.home)
                import_default(self.home)
        except HomeError as error:
            raise UsageError(str(error), hint=error.hint) from error
        except sqlite3.DatabaseError as error:
            if not (is_corruption(error) and self.mend()):
                raise of_database(error, self.home) from error
            self.prepare()
        except OSError as error:
            raise of_system(error, self.home) from error

    def emit(self, document: Any, text: Callable[[], str] | str) -> None:
        """Print ``document`` under --json, else the text."""
        if self.json:
            print_json(document)
            return
        shown = text if isinstance(text, str) else text()
        if shown:
            print_text(shown)
