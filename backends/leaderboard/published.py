"""Published results of the benchmarks, as data: each row says where it is from and whether it was verified."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_FILES = {
    "u2bench": "published_u2bench.csv",
    "fetal-gauge": "published_fetal_gauge.csv",
    "zero-shot": "published_fetalclip.csv",
}
_TEXTS = ("model", "category", "setting", "source", "verification", "note")
_PERCENT = 100.0


@cache
def published(kind: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of a benchmark in their published order; numbers as floats, an empty cell as None.

    Columns of U2-BENCH and FETAL-GAUGE accuracies are 0..1, those that end in ``_pct`` are per cent.
    """
    text = files("backends").joinpath("scoring", _FILES[kind]).read_text(encoding="utf-8")
    return tuple(
        {key: _cell(key, cell) for key, cell in row.items() if key is not None}
        for row in csv.DictReader(text.splitlines())
    )


def _cell(column: str, cell: str) -> str | float | None:
    if not cell:
        return None
    return cell if column in _TEXTS else float(cell)


@dataclass(frozen=True)
class Figure:
    """One published value on the scale of ours; ``verified`` where it was read in the primary source."""

    model: str
    value: float
    setting: str
    source: str
    verified: bool


def figures(kind: str, metric: str, question: str | None) -> list[Figure]:
    """What was published of a benchmark's metric, overall or of one task; nothing where the table has no such column.

    FetalCLIP's table is over images of its own: it stands beside no other run.
    """
    found = _column(kind, metric, question)
    if found is None:
        return []
    columns, unit = found
    rows = []
    for row in published(kind):
        value = next((row[name] for name in columns if row.get(name) is not None), None)
        if value is not None:
            setting, said = str(row.get("setting") or row.get("category") or ""), str(row.get("verification") or "")
            verified = said.startswith("verified")
            rows.append(Figure(str(row["model"]), unit(value), setting, str(row.get("source") or ""), verified))
    return rows


Column = tuple[tuple[str, ...], Callable[[float], float]]


def _column(kind: str, metric: str, question: str | None) -> Column | None:
    """Columns of which the first that is filled counts, and the way from a cell to our value."""
    task = (question or "").lower()
    if kind == "fetal-gauge" and metric == "accuracy":
        return (f"{task or 'overall'}_acc",), float
    if kind != "u2bench":
        return None
    if metric == "u2_score" and question is None:
        return ("u2_score_published", "u2_score_recomputed"), float
    if metric == "accuracy" and task:
        return (f"{task}_acc",), float
    if metric == "one_minus_rmse" and task:
        return (f"{task}_rmse",), lambda rmse: 1 - rmse
    if metric == "bleu4" and task:
        return (f"{task}_bleu4_pct",), lambda percent: percent / _PERCENT
    return None
