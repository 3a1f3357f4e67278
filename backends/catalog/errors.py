"""What is said when a name leads to no model that can run."""

from __future__ import annotations


class ModelError(Exception):
    """A model cannot be used.

    Args:
        message: What is wrong, in plain words.
        where: The folder, file or name it is about.
        hint: What to do about it.
    """

    def __init__(self, message: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint


class CatalogError(ModelError):
    """A catalogue file cannot be used; ``where`` is the file, with the line where it is known."""
