"""Errors that a person reads: what, where (file:line), what to do; each with its exit status."""

from __future__ import annotations


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


class UsageError(CommandError):
    """Bad usage or bad input (exit status 2)."""

    status = 2


class ConflictError(CommandError):
    """Something that a person must settle (exit status 3)."""

    status = 3
