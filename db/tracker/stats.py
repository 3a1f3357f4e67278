"""Every figure of the note's summary beside what its tables say, and how far each section has come."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

from db.connect import one_view
from db.tracker.rows import STATUS_LADDER, Tracker
from db.tracker.summary.figures import Computed, SummaryTable, read_facts

_STATED = re.compile(r"[~≈]?\s*(\d{1,9}(?:,\d{3})*)(?:\s*[-\u2013]\s*(\d{1,9}(?:,\d{3})*))?(?!\d|[.,]\d|\s?%)")


@dataclass(frozen=True)
class Figure:
    """One cell of a summary table: what it states and what the note's own tables give.

    ``computed`` is text such as ``2-4`` where the note leaves it open, None where it cannot be counted (``detail`` says
    why); ``agrees`` is None where one of the two is not there. ``line`` is 1-based.
    """

    table: str
    row: str
    column: str
    stated: str
    computed: int | str | None
    agrees: bool | None
    detail: str
    line: int


@dataclass(frozen=True)
class CoverageRow:
    """One section: how many of its models have each status, in the order of :attr:`Coverage.statuses`."""

    title: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Coverage:
    """Sections × statuses. ``statuses``: the ladder, then the note's own words in the order of the note."""

    statuses: tuple[str, ...]
    rows: tuple[CoverageRow, ...]

    @property
    def total(self) -> CoverageRow:
        counts = tuple(sum(row.counts[place] for row in self.rows) for place in range(len(self.statuses)))
        return CoverageRow("Total", counts)


def stats(conn: sqlite3.Connection) -> list[Figure]:
    """The figures in the order of the note; none where it has no summary."""
    with one_view(conn):
        facts = read_facts(conn)
        cells = conn.execute('SELECT heading, row, "column", stated, line FROM summary_cells ORDER BY id').fetchall()
    labels: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        labels[cell["heading"]].append(cell["row"])
    tables = {heading: SummaryTable(facts, heading, list(dict.fromkeys(rows))) for heading, rows in labels.items()}
    return [_figure(cell, tables[cell["heading"]].figure(cell["row"], cell["column"])) for cell in cells]


def coverage(tracker: Tracker) -> Coverage:
    """Counts of the models in the note by section and status."""
    sections = [section for section in tracker.sections if not section.is_absent]
    own = dict.fromkeys(model.status for section in sections for model in section.models)
    statuses = (*STATUS_LADDER, *(status for status in own if status not in STATUS_LADDER))
    place = {status: index for index, status in enumerate(statuses)}
    rows = []
    for section in sections:
        counts = [0] * len(statuses)
        for model in section.models:
            counts[place[model.status]] += 1
        rows.append(CoverageRow(section.title, tuple(counts)))
    return Coverage(statuses, tuple(rows))


def _figure(cell: sqlite3.Row, computed: Computed) -> Figure:
    shown: int | str | None = computed.low
    if computed.low != computed.high:
        shown = f"{computed.low}-{computed.high}"
    return Figure(
        cell["heading"],
        cell["row"],
        cell["column"],
        cell["stated"],
        shown,
        _agrees(cell["stated"], computed),
        computed.detail,
        cell["line"],
    )


def _agrees(stated: str, computed: Computed) -> bool | None:
    """By the stated number: ``7 (proxy)`` is 7. Of a number and a range, whether the one lies in the other."""
    match = _STATED.match(stated.strip())
    if match is None or computed.low is None or computed.high is None:
        return None
    low = int(match[1].replace(",", ""))
    high = int((match[2] or match[1]).replace(",", ""))
    if low == high or computed.low == computed.high:
        return max(low, computed.low) <= min(high, computed.high)
    return (low, high) == (computed.low, computed.high)
