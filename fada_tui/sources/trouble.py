"""What a person is told when something could not be done."""

from __future__ import annotations

from db.connect import SchemaTooNew, SchemaTooOld

UNREADABLE = "the data cannot be read"
OVERTAKEN = "a newer version of fada-tui has taken over here: quit (q) and open it again"


def explain(error: Exception) -> tuple[str, str | None]:
    """Message (with its place) and hint of any error; ours carry both, others are named by their type."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        where = getattr(error, "where", None)
        hint = getattr(error, "hint", None)
        places = getattr(error, "details", ())
        return "\n".join([f"{where}: {message}" if where else message, *places]), hint
    if isinstance(error, SchemaTooNew):
        return str(error), OVERTAKEN
    if isinstance(error, SchemaTooOld):
        return str(error), None
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", None
    return f"{type(error).__name__}: {error}", "this is a fault of the panel; `fada doctor` shows its version"
