"""Published results of the benchmarks, as data: each row says where it is from and whether it was verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backends.leaderboard.published import published

__all__ = ["OWN", "beside", "published", "references"]

_LIKE_OURS = ("baseline", "zero-shot")
OWN = "this run"
"""The ``verification`` of a row of one's own."""


def beside(kind: str, own: Mapping[str, Any], by: str) -> list[dict[str, Any]]:
    """The published rows with ``own`` among them, best first by the column ``by``; rows without it come last.

    ``own`` gets the same columns; those that it does not have are None.
    """
    rows = [dict(row) for row in published(kind)]
    columns = dict.fromkeys(key for row in rows for key in row)
    rows.append({**columns, "source": OWN, "verification": OWN, **own})
    return sorted(rows, key=lambda row: -float("inf") if row[by] is None else row[by], reverse=True)


def references(kind: str, column: str, random: str, unit: Callable[[float], float] | None = None) -> dict[str, float]:
    """``published_random`` and ``published_best`` of a column, where it has them; of verified rows, if there are any.

    Args:
        random: The name of the row that guesses.
        unit: From a cell to what is compared with it, the more the better.
    """
    rows = [row for row in published(kind) if row[column] is not None and row.get("setting") in (None, *_LIKE_OURS)]
    verified = [row for row in rows if row.get("verification", "").startswith("verified")]
    values = {str(row["model"]): unit(row[column]) if unit else row[column] for row in verified or rows}
    chance = values.pop(random, None)
    found = {} if chance is None else {"published_random": chance}
    return found | ({"published_best": max(values.values())} if values else {})
