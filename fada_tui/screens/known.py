"""Everything known of one model: from the note, the runs, the history and the catalogue.

Everything here reads the disk: it is called in a worker thread.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from db.home import Home
from db.runs.queries import list_runs, scores
from db.runs.rows import Run, Score
from db.tracker.errors import EditError
from db.tracker.proposals import proposals
from db.tracker.queries import history, model_detail
from db.tracker.rows import Change, Model, ModelDetail, Proposal

HISTORY = 50


@dataclass(frozen=True)
class Known:
    """``runs`` and ``history`` are newest first; ``catalog`` is None where the catalogue has no entry."""

    detail: ModelDetail
    runs: tuple[Run, ...]
    scores: tuple[Score, ...]
    proposal: Proposal | None
    history: tuple[Change, ...]
    catalog: dict[str, Any] | None


def read_known(
    tracker: sqlite3.Connection, runs: sqlite3.Connection, home: Home, name: str, memory_total: int | None
) -> Known:
    """All of it, for one name.

    Args:
        memory_total: Bytes of the card, or of main memory where there is none; None leaves the size unchecked.

    Raises:
        EditError: No model has that name any more.
    """
    detail = model_detail(tracker, name)
    if detail is None:
        raise EditError(f"there is no model {name!r} any more", "esc goes back; u takes the last change back")
    names = {known.casefold() for known in (detail.model.name, *detail.model.aliases)}
    own = tuple(run for run in reversed(list_runs(runs)) if run.model.casefold() in names)
    ids = {run.id for run in own}
    return Known(
        detail,
        own,
        tuple(one for one in scores(runs, overall_only=True) if one.run in ids and one.step is None),
        proposals(tracker, runs).get(detail.model.name),
        tuple(history(tracker, limit=HISTORY, model=detail.model.name)),
        _catalog(detail.model, home, memory_total),
    )


def _catalog(model: Model, home: Home, memory_total: int | None) -> dict[str, Any] | None:
    from backends.catalog.available import availability
    from backends.catalog.reader import USER_FILE, load_catalog

    catalog = load_catalog(home.root / USER_FILE)
    entry = next((found for name in (model.name, *model.aliases) if (found := catalog.find(name))), None)
    return entry.to_dict(*availability(entry, memory_total)) if entry else None
