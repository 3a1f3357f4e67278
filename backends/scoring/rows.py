"""Rows of scores in the making: a value with its floors, then intervals, counts and alarms; the same for every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring import alarms
from backends.scoring.answer import Answer
from backends.scoring.digest import answer_hashes, digest
from backends.scoring.groups import Group, macro_value
from backends.scoring.groups import macro as macro_statistic
from backends.scoring.intervals import Column, Interval, count_images, intervals
from backends.scoring.resampling import Statistic
from backends.scoring.values import Values

RESAMPLES = 10_000


@dataclass
class Row:
    """A row in the making: what its interval is taken of, and what stands in it."""

    group: Group
    wanted: Column | Statistic | None
    fields: dict[str, Any]
    macros: dict[str, Statistic] = field(default_factory=dict)
    """Of the overall row: the means over questions and over categories, by what they are over."""


def image_numbers(answers: Sequence[Answer]) -> NDArray[np.int64]:
    """The number of each answer's image (n,)."""
    return np.unique([answer.image_path for answer in answers], return_inverse=True)[1].astype(np.int64)


def finished(
    rows: Sequence[Row],
    answers: Sequence[Answer],
    images: NDArray[np.int64],
    groups: Sequence[Group],
    shared: Mapping[str, Any],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    flat: Sequence[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The rows with their intervals, counts, digests and alarms.

    Args:
        groups: Those of the rows.
        shared: Fields that all have.
        flat: Collapse alarms; by default of the answers as they stand.
    """
    add_intervals(rows, resamples, seed)
    facts = facts_of(answers, images, groups, alarms.collapse(answers) if flat is None else flat)
    return [{**row.fields, **facts[row.group.key], **shared} for row in rows]


def mean_row(values: Values, group: Group, groups: Sequence[Group], images: NDArray[np.int64]) -> Row:
    """The row of a mean over the answers of ``group``; the overall one has the means over ``groups`` beside it."""
    mask = group.mask
    column = Column(values.own[mask], images[mask], values.share)
    row = Row(group, column, fields_of(values.name, group, float(values.own[mask].mean())))
    row.fields |= values.extra | {"unparseable": int(values.unparseable[mask].sum())}
    set_floors(row, {name: float(floor[mask].mean()) for name, floor in values.floors.items()})
    row.fields["references"] = {name: float(one[mask].mean()) for name, one in values.references.items()}
    if group.overall:
        row.fields |= {"micro": row.fields["value"], "macro": {}}
        for over in ("question", "category"):
            parts = [part for part in groups if getattr(part, over) is not None]
            if parts:
                row.fields["macro"][over] = {
                    "value": macro_value(values.own, parts),
                    "ci_low": None,
                    "ci_high": None,
                    "groups": len(parts),
                }
                statistic = macro_statistic(values.own, images, parts)
                if statistic:
                    row.macros[over] = statistic
    return row


def fields_of(metric: str, group: Group, value: float) -> dict[str, Any]:
    """What every row starts with; its interval comes later."""
    return {
        "metric": metric,
        "question": group.question,
        "category": group.category,
        "value": value,
        "ci_low": None,
        "ci_high": None,
        "interval": None,
        "effective_n": None,
    }


def set_floors(row: Row, floors: dict[str, float]) -> None:
    """Put floors into a row, and its gain over the highest."""
    row.fields["floors"] = floors
    row.fields["gain"] = row.fields["value"] - max(floors.values())


def add_intervals(rows: Sequence[Row], resamples: int, seed: int) -> None:
    """Overall and questions share resampled images; each category has its own."""
    batches: dict[str | None, list[tuple[dict[str, Any], Column | Statistic]]] = {}
    for row in rows:
        batch = batches.setdefault(row.group.category, [])
        if row.wanted is not None:
            batch.append((row.fields, row.wanted))
        batch += [(row.fields["macro"][over], statistic) for over, statistic in row.macros.items()]
    for batch in batches.values():
        found = intervals([wanted for _, wanted in batch], resamples=resamples, seed=seed)
        for (fields, _), interval in zip(batch, found, strict=True):
            if interval is not None:
                _set_interval(fields, interval)


def _set_interval(fields: dict[str, Any], interval: Interval) -> None:
    fields |= {"ci_low": interval.low, "ci_high": interval.high}
    if "interval" in fields:
        fields |= {"interval": interval.method, "effective_n": interval.effective_n}


def facts_of(
    answers: Sequence[Answer], images: NDArray[np.int64], groups: Sequence[Group], flat: Sequence[dict[str, Any]]
) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    """Counts, digest and alarms of each group, the same for every metric."""
    hashes = answer_hashes(answers)
    failed = np.array([answer.failed for answer in answers])
    empty = np.array([answer.empty for answer in answers])
    found: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for group in groups:
        rows = np.flatnonzero(group.mask).tolist()
        counted = {"failed": int(failed[group.mask].sum()), "empty": int(empty[group.mask].sum())}
        found[group.key] = {
            "n": len(rows),
            "answered": len(rows) - counted["failed"],
            **counted,
            "images": count_images(images[group.mask]),
            "digest": digest(hashes[row] for row in rows),
            "alarms": alarms.coverage(len(rows), **counted) + [one for one in flat if _concerns(group, one)],
        }
    return found


def _concerns(group: Group, alarm: dict[str, Any]) -> bool:
    """A flat question's alarm stands in its own rows and in those of the whole."""
    return group.category is None and group.question in (None, alarm["question"])
