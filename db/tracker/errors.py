"""What can go wrong with a note or an edit: what, where, what to do."""

from __future__ import annotations


class NoteError(Exception):
    """The file is no tracker note; nothing was changed.

    Args:
        message: What is wrong, in plain words.
        where: ``file`` or ``file:line``.
        hint: What to do about it.
    """

    def __init__(self, message: str, where: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint


class NoteConflict(NoteError):
    """The file holds what may be somebody's work; nothing was written."""


class EditError(Exception):
    """The edit makes no sense or cannot be made; nothing was changed."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
