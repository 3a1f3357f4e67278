"""What the readers say when a data file cannot be used."""

from __future__ import annotations

from collections.abc import Callable


class DataError(Exception):
    """``message`` says what is wrong, ``where`` is ``file`` or ``file:line``, ``hint`` what to do.

    ``details`` are the first places where lines are wrong, each ``file:line: what``, where there are several.
    """

    def __init__(
        self, message: str, where: str | None = None, hint: str | None = None, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where
        self.hint = hint
        self.details = details

    def __reduce__(self) -> tuple[type[DataError], tuple[str, str | None, str | None, tuple[str, ...]]]:
        return DataError, (self.message, self.where, self.hint, self.details)


Fault = Callable[[DataError], None]
"""Told of each line that is no sample: it raises, or keeps the error and lets the reader go on with the next line."""


def raise_fault(error: DataError) -> None:
    """The first wrong line ends the reading."""
    raise error
