"""`fada stats`: the note's own summary beside what its tables say, and how far each section has come."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from db.tracker.queries import load_tracker
from db.tracker.rows import STATUS_LADDER, is_tested
from db.tracker.stats import Coverage, CoverageRow, Figure, coverage, stats
from fada_tui.cli.context import Context
from fada_tui.cli.output import table
from fada_tui.cli.verbs import Adder
from fada_tui.text import printable

_BAR = 10
_SHORT = {"Available": "avail", "Fine-tuned": "tuned"}


def register(add: Adder) -> None:
    """Add the verb."""
    add("stats", show_stats, "every figure of the note's summary, stated and computed, and the coverage")


def show_stats(args: argparse.Namespace, context: Context) -> None:
    """`fada stats`."""
    figures = stats(context.tracker)

    def text() -> str:
        picture = coverage_text(coverage(load_tracker(context.tracker)))
        return f"{figures_text(figures)}\n\n{picture}"

    context.emit([asdict(figure) for figure in figures], text)


def figures_text(figures: Sequence[Figure]) -> str:
    """The summary tables one under the other; ✗ where the note says something else than its tables."""
    if not figures:
        return "The note states no summary."
    rows = [
        (
            {True: "", False: "✗", None: "?"}[figure.agrees],
            figure.row,
            figure.column,
            figure.stated,
            "" if figure.computed is None else figure.computed,
            figure.detail,
        )
        for figure in figures
    ]
    header, *lines = table(("", "", "", "stated", "computed", ""), rows, right=(4,)).split("\n")
    text = [header]
    for title, group in groupby(zip(figures, lines, strict=True), key=lambda pair: pair[0].table):
        text += [printable(title), *(line for _, line in group)]
    return "\n".join([*text, "", _verdict(figures)])


def _verdict(figures: Sequence[Figure]) -> str:
    differ = sum(figure.agrees is False for figure in figures)
    unknown = sum(figure.agrees is None for figure in figures)
    said = f"✗ {differ} of {len(figures)} figures differ from the note's own tables"
    return f"{said}; ? {unknown} cannot be compared" if unknown else said


def coverage_text(picture: Coverage) -> str:
    """Sections × statuses as counts, and how much of each section was tested in any way."""
    places = [place for place, count in enumerate(picture.total.counts) if count]
    header = ("section", *(_short(picture.statuses[place]) for place in places), "any test")
    rows = [_coverage_row(row, picture.statuses, places) for row in (*picture.rows, picture.total)]
    return table(header, rows, right=range(1, len(places) + 1), limits={0: 32})


def _coverage_row(row: CoverageRow, statuses: Sequence[str], places: Sequence[int]) -> tuple[object, ...]:
    tested = sum(count for status, count in zip(statuses, row.counts, strict=True) if is_tested(status))
    full = round(_BAR * tested / row.total) if row.total else 0
    # Neither end is shown before it is reached.
    full = min(max(full, int(tested > 0)), _BAR - int(tested < row.total))
    counts = (row.counts[place] or "·" for place in places)
    return (row.title, *counts, f"{'█' * full}{'░' * (_BAR - full)} {tested}/{row.total}")


def _short(status: str) -> str:
    if status == "TODO" or status not in STATUS_LADDER:
        return printable(status)
    return _SHORT.get(status, status.removesuffix(" tested").casefold())
