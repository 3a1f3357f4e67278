"""Everything known of one model: from the note, the runs, the history and the catalogue.

Everything here reads the disk: it is called in a worker thread.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from db.home import Home
from db.runs.queries import list_runs, scores
from db.runs.rows import Run, Score
from db.tracker.errors import EditError
from db.tracker.measured import Measured, measured
from db.tracker.proposals import proposals
from db.tracker.queries import history, model_detail
from db.tracker.rows import Change, ModelDetail, Proposal
from fada_tui.screens.weights import Weights, weights
from fada_tui.sources.catalogued import catalogued

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
    fits: tuple[Fit, ...] = ()
    weights: tuple[Weights, ...] = ()
    measured: tuple[Measured, ...] = ()
    """What runs on this machine took: training times, sizes of exports."""


@dataclass(frozen=True)
class Fit:
    """What one way of using one checkpoint takes of a card: the least, the likely and the most, in bytes."""

    variant: str
    work: str
    low: int
    likely: int
    high: int
    verdict: str
    seen_in: int | None
    """The run whose peak corrected it most."""


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
        (found := catalogued(detail.model, home, memory_total)),
        _fits(found, runs, home, memory_total),
        weights(found),
        measured(runs, names),
    )


def _fits(
    catalog: dict[str, Any] | None, runs: sqlite3.Connection, home: Home, memory_total: int | None
) -> tuple[Fit, ...]:
    """Of every checkpoint that is loaded here; nothing of models on servers and of those without weights."""
    from backends.catalog.reader import USER_FILE
    from backends.estimate.ask import ask, usual
    from backends.estimate.memory import has_driver
    from backends.estimate.recorded import usual_images

    if catalog is None or catalog["loader"] not in ("transformers", "environment"):
        return ()
    card = memory_total if has_driver() else None
    variants = [(one["name"], one["repo"]) for one in catalog["variants"]] or [("", catalog["repo"])]
    sizes = usual_images(runs)
    fits = []
    for variant, repo in variants:
        for work, question in usual(repo, catalog["name"], catalog["loader"]) if repo else ():
            question = replace(question, image_sizes=sizes[1] if sizes else ())
            answer = ask(question, runs, card, home.root / USER_FILE)
            fits.append(Fit(variant, work, *answer.interval, answer.verdict, answer.run))
    return tuple(fits)
