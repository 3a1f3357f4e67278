"""Two runs with the same results, answer by answer: one of them is often a run whose adapter was never loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backends.jobs.spec import asked_alike

Row = Mapping[str, Any]

_FEWEST = 10
"""Fewer answers, or scores without digests, can be the same by chance."""


def duplicates(scores_a: Sequence[Row], scores_b: Sequence[Row], other: str = "another run") -> list[dict[str, Any]]:
    """The alarm for two runs with equal results, else nothing; ``scores_*`` are all rows of a run.

    Equal are runs whose answers have one digest. Where one has none (imported tables), so are those of which at least
    ten scores, not all 0 or 1, agree to six digits and none differs.
    """
    first, second = (next((row for row in rows if _overall(row)), None) for rows in (scores_a, scores_b))
    if first is None or second is None or min(first["n"], second["n"]) < _FEWEST:
        return []
    if first.get("digest") and second.get("digest"):
        if first["digest"] != second["digest"]:
            return []
        return [_alarm(f"every one of {first['n']} answers is the same as in {other}")]
    same = _same_table(scores_a, scores_b)
    return [_alarm(f"{same} scores are the same to six digits as in {other}")] if same else []


def with_duplicates(
    rows: Sequence[dict[str, Any]],
    spec: Mapping[str, Any],
    others: Iterable[tuple[int, Mapping[str, Any], Sequence[Row]]],
) -> list[dict[str, Any]]:
    """The rows, the overall ones with an alarm for each run of ``others`` (id, spec, rows) that has the same results.

    One that was asked the same of the same model should have: it raises none.
    """
    alarms: list[dict[str, Any]] = []
    for run, other, theirs in others:
        if not asked_alike(spec, other):
            model = (other.get("model") or {}).get("name")
            alarms += duplicates(rows, theirs, f"#{run} ({model})" if model else f"#{run}")
    return [{**row, "alarms": [*row["alarms"], *alarms]} if _overall(row) else row for row in rows]


def _same_table(scores_a: Sequence[Row], scores_b: Sequence[Row]) -> int:
    """How many scores both have, if they all agree to six digits; else 0."""
    first, second = ({_key(row): round(float(row["value"]), 6) for row in rows} for rows in (scores_a, scores_b))
    common = first.keys() & second.keys()
    telling = any(first[key] not in (0, 1) for key in common)
    agree = all(first[key] == second[key] for key in common)
    return len(common) if len(common) >= _FEWEST and telling and agree else 0


def _key(row: Row) -> tuple[Any, ...]:
    return row.get("metric"), row.get("question"), row.get("category")


def _overall(row: Row) -> bool:
    return row.get("question") is None and row.get("category") is None


def _alarm(text: str) -> dict[str, Any]:
    return {"kind": "duplicate", "question": None, "text": text}
