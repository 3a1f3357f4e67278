"""What is asked of the answers of whole runs: which runs share questions, and how varied their texts are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

_PROBES = 64


def shared_share(conn: sqlite3.Connection, run_id: int, others: Sequence[int]) -> dict[int, float]:
    """Of some questions of a run, spread over all of it, the share that each of the others has too; none is left out.

    As quick for a million answers as for a few.
    """
    last = conn.execute("SELECT max(position) FROM predictions WHERE run = ?", (run_id,)).fetchone()[0]
    if last is None or not others:
        return {}
    places = sorted({round(last * probe / (_PROBES - 1)) for probe in range(_PROBES)})
    probes = [
        row[0]
        for place in places
        for row in conn.execute(
            "SELECT id FROM predictions WHERE run = ? AND position >= ? ORDER BY position LIMIT 1", (run_id, place)
        )
    ]
    probes = list(dict.fromkeys(probes))
    rows = conn.execute(
        "SELECT run, count(*) FROM predictions WHERE run IN (SELECT value FROM json_each(?)) "
        "AND id IN (SELECT value FROM json_each(?)) GROUP BY run",
        (json.dumps(list(others)), json.dumps(probes)),
    )
    return {row[0]: row[1] / len(probes) for row in rows}


def counted_texts(
    conn: sqlite3.Connection, run_id: int, column: str, by_category: bool = False
) -> list[tuple[str, str, int]]:
    """Topic, text and how often: what stands in ``column`` (prediction or reference) of answers that did not fail.

    ``by_category`` counts within each category of a topic, which is then named "TOPIC CATEGORY".

    SQLite counts, so that few rows of even a million answers come to Python.
    """
    if column not in ("prediction", "reference"):
        raise ValueError(f"no texts in {column!r}")
    topic = "coalesce(topic, '')" + (" || ' ' || coalesce(category, '')" if by_category else "")
    rows = conn.execute(
        f"SELECT {topic}, coalesce({column}, ''), count(*) FROM predictions "
        "WHERE run = ? AND error IS NULL AND prediction IS NOT NULL GROUP BY 1, 2",
        (run_id,),
    )
    return [(topic, text, times) for topic, text, times in rows]
