"""Runs with the same results: the one that was scored later says so of the earlier one, which must not stand without.

A scorer looks at the runs that are there. Its alarm names the other run (``… as in #6 (MODEL)``); read from the other
side it concerns that one just as much.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable

from db.runs.rows import Alarm, Score

KIND = "duplicate"
_NAMED = re.compile(r"(?P<said>.+ as in )#(?P<run>\d{1,18})(?: \(.*\))?", re.DOTALL)
_RAISED = """SELECT s.run, r.model, json_extract(s.body, '$.alarms') FROM scores s JOIN runs r ON r.id = s.run
WHERE s.question IS NULL AND s.category IS NULL AND instr(s.body, '"duplicate"')"""

Raised = tuple[int, str, Iterable[Alarm]]
"""A run, its model, and the alarms of an overall score of it."""


def mirrored(found: Iterable[Raised]) -> dict[int, tuple[Alarm, ...]]:
    """Of each run the alarms that its later duplicates owe it; those that it raised itself are not given again."""
    told: dict[int, set[int]] = defaultdict(set)
    owed: dict[int, dict[int, Alarm]] = defaultdict(dict)
    for run, model, alarms in found:
        for alarm in alarms:
            named = _NAMED.fullmatch(alarm.text) if alarm.kind == KIND else None
            if named:
                other = int(named["run"])
                told[run].add(other)
                owed[other][run] = Alarm(KIND, None, f"{named['said']}#{run} ({model})")
    return {
        other: tuple(alarm for run, alarm in sorted(by_run.items()) if run not in told[other])
        for other, by_run in owed.items()
    }


def owed_to(conn: sqlite3.Connection) -> dict[int, tuple[Alarm, ...]]:
    """The same of all runs in the index."""
    return mirrored(
        (run, model, [Alarm(one["kind"], one.get("question"), one["text"]) for one in json.loads(text or "[]")])
        for run, model, text in conn.execute(_RAISED)
    )


def raised(scores: Iterable[Score]) -> Iterable[Raised]:
    """Of scores that were read, what :func:`mirrored` wants."""
    return (
        (one.run, one.model, one.alarms)
        for one in scores
        if one.run is not None and one.question is None and one.category is None
    )
