"""What every command handler is handed: HOME, migrated and ready, and how to answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from db.connect import connect
from db.home import Home, HomeError
from db.migrate import migrate, needs_migration, needs_preparing
from fada_tui.cli.errors import UsageError, of_database
from fada_tui.cli.output import print_json, print_text


class _LookOnly(sqlite3.Connection):
    """Says in a person's words why nothing can be changed."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_READONLY"):
                raise
            raise UsageError(
                "this HOME cannot be written: it can only be looked at",
                where=str(super().execute("PRAGMA database_list").fetchone()[2]),
                hint="choose another folder with --home DIR or FADA_HOME, or make this one writable",
            ) from error


@dataclass
class Context:
    """``json`` asks for one JSON document on standard output."""

    home: Home
    json: bool = False

    @cached_property
    def tracker(self) -> sqlite3.Connection:
        """fada.db, migrated, with the shipped note imported where there is none."""
        return self._open(self.home.fada_db)

    @cached_property
    def runs(self) -> sqlite3.Connection:
        """runs.db, migrated."""
        return self._open(self.home.runs_db)

    def _open(self, path: Path) -> sqlite3.Connection:
        if not self.home.is_read_only():
            self.prepare()
            return connect(path)
        return self._look_at(path)

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
            raise of_database(error, self.home) from error

    def emit(self, document: Any, text: Callable[[], str] | str) -> None:
        """Print ``document`` under --json, else the text."""
        if self.json:
            print_json(document)
            return
        shown = text if isinstance(text, str) else text()
        if shown:
            print_text(shown)
