"""Figures of a note's summary, counted from its own tables."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from db.tracker.reading.values import ladder_status
from db.tracker.rows import STATUS_LADDER, is_tested
from db.tracker.summary.labels import Group, Match, group, is_total, match_labels, words

_COUNT = frozenset(("count", "number", "no", "total", "n", "amount", "how", "many"))
_TESTED = frozenset(("tested", "evaluated", "done", "finished"))
_TODO = frozenset(("todo", "to", "do", "remaining", "left", "untested", "open", "pending"))
_REST = frozenset(("unknown", "zero", "none", "neither", "rest", "unassigned"))
_NO = re.compile(r"\s*(no\b|none\b|cannot\b|can't\b|[-\u2013\u2014✗✘❌]|$)", re.IGNORECASE)
_YES = re.compile(r"\s*(yes\b|native\b|[✓✔✅])", re.IGNORECASE)
_METHOD_KINDS = {"verified": "verified", "likely": "likely", "other": "other", "api": "cannot", "cannot": "cannot"}


@dataclass(frozen=True)
class Computed:
    """``low`` and ``high`` differ where the note itself leaves it open; None: it cannot be counted, ``detail`` why."""

    low: int | None
    high: int | None
    detail: str = ""


@dataclass(frozen=True)
class Route:
    """One row of a fine-tuning or export table. ``models``: the tracked ones it is about, else what it calls them."""

    kind: str
    heading: str
    columns: Mapping[str, str]
    models: frozenset[object]


@dataclass(frozen=True)
class Facts:
    """What the summary can be counted from. Models by their ids."""

    statuses: Mapping[int, str]
    sections: tuple[Group, ...]
    finetune: tuple[Route, ...]
    export: tuple[Route, ...]


def read_facts(conn: sqlite3.Connection) -> Facts:
    """Of the current note, inside the caller's transaction."""
    statuses: dict[int, str] = {}
    members: dict[int, set[object]] = defaultdict(set)
    for row in conn.execute("SELECT id, section_id, status FROM models WHERE NOT absent"):
        statuses[row["id"]] = row["status"]
        members[row["section_id"]].add(row["id"])
    paths = [
        (row["id"], (*json.loads(row["path"]), row["title"]))
        for row in conn.execute("SELECT id, title, path FROM sections ORDER BY id")
    ]
    return Facts(statuses, _sections(paths, members), _routes(conn, "finetune"), _routes(conn, "export"))


def _sections(paths: Sequence[tuple[int, tuple[str, ...]]], members: Mapping[int, set[object]]) -> tuple[Group, ...]:
    """A group a section, and one a heading that stands above several of them."""
    under: dict[tuple[str, ...], set[object]] = defaultdict(set)
    for section, path in paths:
        for depth in range(1, len(path) + 1):
            under[path[:depth]] |= members.get(section, set())
    return tuple(group(path[-1], found, path[:-1]) for path, found in under.items())


def _routes(conn: sqlite3.Connection, kind: str) -> tuple[Route, ...]:
    tied: dict[int, set[object]] = defaultdict(set)
    for row in conn.execute("SELECT ref, model_id FROM mentions WHERE kind = ?", (kind,)):
        tied[row["ref"]].add(row["model_id"])
    return tuple(
        Route(
            row["kind"],
            row["heading"],
            json.loads(row["columns"]),
            frozenset(tied.get(row["id"], {row["model"].casefold()})),
        )
        for row in conn.execute(f"SELECT id, kind, heading, model, columns FROM {kind}_rows ORDER BY id")
    )


class SummaryTable:
    """Counts the figures of one summary table.

    Args:
        facts: What the note has.
        heading: What stands above the table: whether its rows are sections, fine-tuning routes or ways to a phone.
        labels: The labels of its rows.
    """

    def __init__(self, facts: Facts, heading: str, labels: Sequence[str]) -> None:
        self.facts = facts
        self.labels = [label for label in labels if not is_total(label)]
        about = words(heading)
        self.is_mobile = bool(about & {"mobile", "export", "edge", "deployment"})
        self.is_method = not self.is_mobile and bool(about & {"tuning", "tune", "finetune", "finetuning", "training"})

    @cached_property
    def sections(self) -> dict[str, Match]:
        return match_labels(self.labels, self.facts.sections)

    @cached_property
    def routes(self) -> dict[str, Match]:
        return match_labels(self.labels, _headings(self.facts.finetune))

    def figure(self, row: str, column: str) -> Computed:
        """The figure of a row (by its label) in a column (by its name)."""
        facts = self.facts
        status = ladder_status(row)
        if (self.is_mobile or self.is_method or status) and not _is_count(column):
            return _no_column(column)
        if self.is_mobile:
            return _mobile(facts, row)
        if self.is_method:
            return _exactly(len(facts.statuses)) if is_total(row) else _method(facts, row, self.routes[row])
        if status:
            return _of_status(facts.statuses.values(), status)
        if is_total(row):
            return _section_figure(facts, facts.statuses, column, "")
        match = self.sections[row]
        if match.group is None:
            return _unmatched(match, "section")
        return _section_figure(facts, match.group.members, column, match.group.title)


def _unmatched(match: Match, what: str) -> Computed:
    if match.several:
        return Computed(None, None, f"may mean {' or '.join(match.several)}")
    return Computed(None, None, f"no {what} of the note goes by these words")


def _no_column(column: str) -> Computed:
    return Computed(None, None, f"what {column!r} counts is not known")


def _is_count(column: str) -> bool:
    return bool(words(column) & _COUNT) or not words(column)


def _exactly(count: int, detail: str = "") -> Computed:
    return Computed(count, count, detail)


def _section_figure(facts: Facts, members: Collection[object], column: str, title: str) -> Computed:
    statuses = [status for model, status in facts.statuses.items() if model in members]
    said = words(column)
    step = ladder_status(column)
    if said and said <= _TODO:
        waiting = [status for status in statuses if not is_tested(status)]
        return _exactly(len(waiting), _breakdown(waiting) if set(waiting) - {"TODO"} else "")
    if step not in (None, "Tested"):
        return _of_status(statuses, step or "")
    if said and said <= _TESTED:
        tested = [status for status in statuses if is_tested(status)]
        return _exactly(len(tested), _breakdown(tested))
    return _exactly(len(statuses), title) if _is_count(column) else _no_column(column)


def _of_status(statuses: Iterable[str], wanted: str) -> Computed:
    return _exactly(sum(status == wanted for status in statuses))


def _breakdown(statuses: Sequence[str]) -> str:
    """``5 proxy, 4 local, 1 fine-tuned``: most first, then up the ladder."""
    counts = Counter(statuses)
    order = {status: place for place, status in enumerate(STATUS_LADDER)}
    most = sorted(counts.items(), key=lambda pair: (-pair[1], order.get(pair[0], len(order)), pair[0]))
    return ", ".join(f"{count} {_word(status)}" for status, count in most)


def _word(status: str) -> str:
    if status == "TODO" or status not in STATUS_LADDER:
        return status
    return status.casefold().removesuffix(" tested")


def _method(facts: Facts, row: str, match: Match) -> Computed:
    """Models of a fine-tuning route: by its heading, else its kind, else its method; or those that no route names."""
    said = words(row)
    if said & _REST:
        routed = frozenset(model for route in facts.finetune for model in route.models)
        return _exactly(len(facts.statuses.keys() - routed), "in none of the fine-tuning tables")
    kinds = {kind for word, kind in _METHOD_KINDS.items() if word in said}
    for fits in (
        lambda route: match.group is not None and route.heading == match.group.title,
        lambda route: len(kinds) == 1 and route.kind in kinds,
        lambda route: bool(said) and said <= words(route.columns.get("Method", "")),
    ):
        routes = [route for route in facts.finetune if fits(route)]
        if routes:
            return _distinct(routes)
    return _unmatched(match, "fine-tuning table")


def _headings(routes: Sequence[Route]) -> list[Group]:
    under: dict[str, set[object]] = defaultdict(set)
    for route in routes:
        under[route.heading] |= route.models
    return [group(heading, models) for heading, models in under.items()]


def _distinct(routes: Sequence[Route], detail: str = "") -> Computed:
    models = frozenset(model for route in routes for model in route.models)
    rows = f"{len(routes)} row{'' if len(routes) == 1 else 's'}" if len(routes) != len(models) else ""
    return _exactly(len(models), "; ".join(part for part in (rows, detail) if part))


def _mobile(facts: Facts, row: str) -> Computed:
    """Models that can go to a phone: tuned ones whose export is said to work, and those made for it."""
    said = words(row)
    native = [route for route in facts.export if route.kind == "native"]
    if is_total(row):
        return _mobile_total(facts, native)
    if "native" in said:
        return _native(facts, native)
    if "candidate" in said:
        return _distinct([route for route in facts.export if route.kind == "candidate"])
    if "export" in said or said & {"unsloth", "finetune", "tuned", "tuning"}:
        return _exportable(facts)
    return Computed(None, None, "no table of the note goes by these words")


def _exports(facts: Facts) -> tuple[frozenset[object], frozenset[object]] | None:
    """Fine-tuned models whose mobile export is a plain yes, and those where it is neither yes nor no."""
    cells = [
        (route.models, text)
        for route in facts.finetune
        for name, text in route.columns.items()
        if name.casefold() == "mobile export"
    ]
    if not cells:
        return None
    sure = frozenset(model for models, text in cells if _YES.match(text) for model in models)
    open_ = frozenset(
        model for models, text in cells if not _YES.match(text) and not _NO.match(text) for model in models
    )
    return sure, open_ - sure


def _exportable(facts: Facts) -> Computed:
    exports = _exports(facts)
    if exports is None:
        return Computed(None, None, "no fine-tuning table has a Mobile Export column")
    sure, marginal = exports
    return Computed(len(sure), len(sure) + len(marginal), f"{len(sure)} yes, {len(marginal)} marginal")


def _native(facts: Facts, native: Sequence[Route]) -> Computed:
    if not native:
        return Computed(None, None, "the note has no table of mobile-native models")
    sections = [one for one in facts.sections if one.near & {"mobile", "edge"}]
    elsewhere = "; ".join(f"the section {one.title} has {len(one.members)}" for one in sections)
    return _distinct(native, elsewhere)


def _mobile_total(facts: Facts, native: Sequence[Route]) -> Computed:
    exports = _exports(facts)
    if exports is None and not native:
        return Computed(None, None, "the note has no table to count from")
    sure, marginal = exports or (frozenset(), frozenset())
    made = frozenset(model for route in native for model in route.models)
    return Computed(len(sure | made), len(sure | marginal | made), "each model once")
