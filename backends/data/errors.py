"""What the readers say when a data file cannot be used."""

from __future__ import annotations


class DataError(Exception):
    """``message`` says what is wrong, ``where`` is ``file`` or ``file:line``, ``hint`` what to do."""

    def __init__(self, message: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[type[DataError], tuple[str, str | None, str | None]]:
        return DataError, (self.message, self.where, self.hint)
