"""A benchmark's published table with a run's own row in it: the same columns, whoever the row is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[Mapping[str, Any]]

_ABOUT = ("model", "category", "setting", "source", "verification", "note")
"""Columns that are words about a row."""
_OWN = "this run"
_SHORT = {"u2_score_recomputed": "U2", "u2_score_published": "U2 published", "overall_acc": "overall"}
_USUAL = ("", "zero-shot", "baseline", "own")
_WHOLE = ("u2_score_recomputed", "u2_score_published")


@dataclass(frozen=True)
class BesideRow:
    """``cells`` in the order of the columns; a table has many cells that nobody has published."""

    model: str
    cells: tuple[str, ...]
    own: bool
    second_hand: bool

    @property
    def marks(self) -> str:
        return "this run" if self.own else "second-hand" if self.second_hand else ""


@dataclass(frozen=True)
class BesideTable:
    columns: tuple[str, ...]
    rows: tuple[BesideRow, ...]


def beside_table(rows: Rows, *, whole: bool = False) -> BesideTable:
    """Of ``leaderboard`` in a run's scores.json, in its order.

    Args:
        whole: Every column; else one a task, the one that makes up the total.
    """
    known = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in _ABOUT]
    shown = known if whole else [name for name in known if _is_main(name)]
    shown.sort(key=lambda name: name not in _SHORT)
    return BesideTable(
        tuple(_SHORT.get(name) or (_plain(name) if whole else _task(name)) for name in shown),
        tuple(
            BesideRow(
                _name(row),
                tuple(_cell(name, _value(row, name, whole)) for name in shown),
                row.get("source") == _OWN,
                not str(row.get("verification") or "").startswith("verified") and row.get("source") != _OWN,
            )
            for row in rows
        ),
    )


def _name(row: Mapping[str, Any]) -> str:
    """With the setting where it is not the usual one: a model that was fine-tuned there is another."""
    setting = str(row.get("setting") or "")
    return f"{row.get('model') or ''}{f' ({setting})' if setting not in _USUAL else ''}"


def _is_main(name: str) -> bool:
    return name != "u2_score_published" and name.endswith(("_acc", "_rmse", "_bleu4_pct", "_recomputed"))


def _value(row: Mapping[str, Any], name: str, whole: bool) -> float | None:
    """Of the total what was published, where that is all there is of it."""
    value = row.get(name)
    if value is None and name in _WHOLE and not whole:
        value = row.get("u2_score_published")
    return float(value) if isinstance(value, int | float) else None


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if name.endswith(("_pct", "_pct_within_tol")) else f"{value:.3f}"


def _task(name: str) -> str:
    """``CVE rmse``, ``RG bleu4``; of accuracies the task alone."""
    task, _, measure = name.removesuffix("_pct").partition("_")
    return task.upper() if measure == "acc" else f"{task.upper()} {measure}"


def _plain(name: str) -> str:
    return name.replace("_", " ")
