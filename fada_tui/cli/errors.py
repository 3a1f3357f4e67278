"""Errors that a person reads: what, where (file:line), what to do; each with its exit status."""

from __future__ import annotations

import errno
import sqlite3

from db.connect import SchemaTooNew
from db.filesystem import is_full
from db.home import Home

FULL_HINT = "make room; `fada disk` shows what takes it, `fada rm ID` and `fada prune` free some"


class CommandError(Exception):
    """The command failed (exit status 1).

    Args:
        message: What went wrong, in plain words.
        where: ``file:line``, an id or a name, if it is somewhere.
        hint: What to do about it.
        details: Single places, where there are many: a line each.
    """

    status = 1

    def __init__(
        self, message: str, where: str | None = None, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.details = details


def of_database(error: sqlite3.DatabaseError, home: Home) -> CommandError:
    """What a database could not do, in a person's words: most often the disk is full."""
    if isinstance(error, SchemaTooNew):
        return CommandError(
            str(error), hint="update fada-tui, or take another HOME with --home DIR; nothing was changed"
        )
    if is_full(home.root):
        return DiskFull(f"the disk is full ({error})", str(home.root), FULL_HINT)
    return CommandError(f"a database cannot be used: {error}", hint="`fada doctor` says which and what to do")


def of_system(error: OSError, home: Home) -> CommandError:
    """What the operating system refused, in a person's words."""
    place = str(error.filename) if error.filename else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the disk is full ({error.strerror})", place or str(home.root), FULL_HINT)
    return CommandError(error.strerror or str(error), place, "`fada doctor` may say more")


class DiskFull(CommandError):
    """Nothing can be written: there is no room (exit status 1)."""


class UsageError(CommandError):
    """Bad usage or bad input (exit status 2)."""

    status = 2


class ConflictError(CommandError):
    """Something that a person must settle (exit status 3)."""

    status = 3
