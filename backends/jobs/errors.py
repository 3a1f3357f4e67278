"""What the queue says when it cannot do as asked."""

from __future__ import annotations


class QueueError(Exception):
    """The message says what, ``where`` says where, ``hint`` what to do; ``details`` are single places of many."""

    def __init__(
        self, message: str, where: str | None = None, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.details = details


class QueueConflict(QueueError):
    """Something would be lost: a person must say that it may be."""
