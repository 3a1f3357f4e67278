"""Which models `fada models` lists, and in what order."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from db.tracker.reading.values import ladder_status
from db.tracker.rows import STATUS_LADDER, Model, Tracker
from fada_tui.cli.errors import UsageError
from fada_tui.cli.model_view import RunIndex, shown_section

_KINDS = ("gt", "proxy", "perf")


def register_filters(parser: argparse.ArgumentParser) -> None:
    """The options that :func:`filtered` reads."""
    parser.add_argument("text", nargs="*", metavar="TEXT", help="words that name, columns or notes must hold")
    parser.add_argument("--filter", metavar="TEXT", help="as the panel filters: letters may be left out (qwn3)")
    parser.add_argument("--section", metavar="TEXT", help="only sections with this in their title")
    parser.add_argument("--status", metavar="VALUE", help="only this status")
    parser.add_argument(
        "--family", metavar="TEXT", help="only families (or providers, sources) with this in their name"
    )
    parser.add_argument("--todo", action="store_true", help="only models whose status is TODO")
    parser.add_argument(
        "--proposed", action="store_true", help="only models that a finished run proposes something for"
    )
    parser.add_argument("--sort", metavar="COLUMN", help="as one list by Name, Size, VRAM, Status, Score, Runs, …")
    parser.add_argument("--reverse", action="store_true", help="the other way round")


def filtered(tracker: Tracker, args: argparse.Namespace, index: RunIndex) -> list[Model]:
    """The models that fit every option, in the order asked for.

    Raises:
        UsageError: No section, status, family or column of that name.
    """
    models = list(tracker.models)
    if args.section is not None:
        models = _holding(args.section, models, "section", "in its title", shown_section)
    if args.family is not None:
        models = _holding(args.family, models, "family", "in its name", lambda model: model.family or "")
    if args.status is not None:
        models = _with_status(tracker, models, args.status)
    if args.todo:
        models = [model for model in models if model.status == "TODO"]
    if args.proposed:
        models = [model for model in models if model.name in index.proposals]
    for word in args.text:
        models = [model for model in models if word.casefold() in _searchable(model)]
    if args.filter is not None:
        models = _fuzzy(models, args.filter)
    if args.sort is not None:
        return _sorted(tracker, models, args.sort, args.reverse, index)
    return models[::-1] if args.reverse else models


def _holding(text: str, models: list[Model], what: str, where: str, of: Callable[[Model], str]) -> list[Model]:
    found = [model for model in models if text.casefold() in of(model).casefold()]
    if not found:
        known = "; ".join(dict.fromkeys(of(model) for model in models if of(model)))
        raise UsageError(f"no {what} has {text!r} {where}", hint=f"{_PLURALS[what]}: {known}")
    return found


_PLURALS = {"section": "sections", "family": "families"}


def _with_status(tracker: Tracker, models: Iterable[Model], text: str) -> list[Model]:
    known = dict.fromkeys([*STATUS_LADDER, *(model.status for model in tracker.models)])
    status = (ladder_status(text) or text).casefold()
    if status not in {name.casefold() for name in known}:
        raise UsageError(f"no status {text!r}", hint=f"one of: {', '.join(known)}")
    return [model for model in models if model.status.casefold() == status]


def _searchable(model: Model) -> str:
    return "\n".join([model.name, *model.aliases, *model.columns.values()]).casefold()


def _fuzzy(models: list[Model], text: str) -> list[Model]:
    from fada_tui.listing.fuzzy import Query, model_text

    query = Query(text)
    return [models[at] for at in query.matching([model_text(model) for model in models])]


def _sorted(tracker: Tracker, models: list[Model], column: str, reverse: bool, index: RunIndex) -> list[Model]:
    from fada_tui.listing.order import Known, Order, columns_offered, other_columns, sort_models

    offered = columns_offered(other_columns(tracker.models))
    name = next((name for name in offered if name.casefold() == column.strip().casefold()), None)
    if name is None:
        raise UsageError(f"no column {column!r}", hint=f"one of: {', '.join(offered)}")
    order = Order.by(name, flat=True)
    known = Known(lambda model: _best(model, index), lambda model: max(index.ids_of(model), default=None))
    return sort_models(models, order.reversed() if reverse else order, known)


def _best(model: Model, index: RunIndex) -> tuple[int, float] | None:
    from fada_tui.widgets.status import best_score

    best = best_score(model, index.scores_of(model))
    if best is None:
        return None
    return (_KINDS.index(best.kind) if best.kind in _KINDS else len(_KINDS)), best.value
