"""What every command handler is handed: HOME, migrated and ready, and how to answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from db.connect import connect
from db.home import Home, HomeError
from db.migrate import SchemaTooNew, migrate, needs_preparing
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.output import print_json, print_text


@dataclass
class Context:
    """``json`` asks for one JSON document on standard output."""

    home: Home
    json: bool = False

    @cached_property
    def tracker(self) -> sqlite3.Connection:
        """fada.db, migrated, with the shipped note imported where there is none."""
        self.prepare()
        return connect(self.home.fada_db)

    @cached_property
    def runs(self) -> sqlite3.Connection:
        """runs.db, migrated."""
        self.prepare()
        return connect(self.home.runs_db)

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
            raise UsageError(
                str(error), hint="choose another folder with --home DIR or FADA_HOME, or make this one writable"
            ) from error
        except (SchemaTooNew, sqlite3.DatabaseError) as error:
            raise CommandError(str(error), where=str(self.home.root), hint="see `fada doctor`") from error

    def emit(self, document: Any, text: Callable[[], str] | str) -> None:
        """Print ``document`` under --json, else the text."""
        if self.json:
            print_json(document)
            return
        shown = text if isinstance(text, str) else text()
        if shown:
            print_text(shown)
