"""Reading what a leaderboard is made of from runs.db and the tracker. Called in a worker thread or by a command."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from backends.leaderboard.alike import deciding, minor
from backends.leaderboard.entries import KINDS, MAIN, Candidate, Candidates, Of, Query, Rank, RankTable, Stated
from db.runs.duplicates import owed_to
from db.runs.rows import Alarm
from db.tracker.rows import Tracker

_SPEC = "'$.data', '$.prompt', '$.generation', '$.seed', '$.versions', '$.device'"
_SPEC_NAMES = ("data", "prompt", "generation", "seed", "versions", "device")
_SCORES = f"""SELECT s.run, s.body, s.partial, r.model, r.from_run, r.state, r.done, r.total, r.archived,
json_extract(r.spec, {_SPEC}) AS spec
FROM runs r JOIN scores s ON s.run = r.id
WHERE r.kind = 'eval' AND r.task = ? AND s.metric = ? AND s.question IS ? AND s.category IS ? AND s.step IS NULL
ORDER BY s.run, s.id"""
_ALARMS = """SELECT s.run, json_extract(s.body, '$.alarms') FROM runs r JOIN scores s ON s.run = r.id
WHERE r.kind = 'eval' AND r.task = ? AND s.category IS NULL AND s.partial = 0 AND (s.question IS NULL OR ?)
AND json_extract(s.body, '$.alarms[0]') IS NOT NULL"""
_THERE = """SELECT DISTINCT s.metric, s.question, s.category FROM scores s WHERE s.step IS NULL
AND s.run IN (SELECT id FROM runs WHERE kind = 'eval' AND task = ? ORDER BY id DESC LIMIT ?)"""
_QUESTIONS = """SELECT count(*) FROM (SELECT DISTINCT s.question, s.category FROM scores s
WHERE s.run = :run AND s.question IS NOT NULL AND (:question IS NULL OR s.question = :question)
AND (s.category IS NOT NULL OR NOT EXISTS
    (SELECT 1 FROM scores t WHERE t.run = s.run AND t.question = s.question AND t.category IS NOT NULL)))"""
"""A question that is asked of several data sets, each with a row of its own, is as many questions."""
_MENU_RUNS = 200
"""What there is to choose from is what so many runs, the newest of the kind, have."""
_COMPARES_READ = 200
"""So many comparisons, the newest, are looked through for rank intervals."""


def kinds_there(conn: sqlite3.Connection, tracker: Tracker | None) -> tuple[str, ...]:
    """The kinds that have a score of a run, or one that the note states; the others are empty."""
    found = {
        row[0]
        for row in conn.execute(
            "SELECT DISTINCT task FROM runs r WHERE kind = 'eval' AND EXISTS (SELECT 1 FROM scores WHERE run = r.id)"
        )
    }
    if tracker is not None:
        found |= {score.kind for model in tracker.models for score in model.scores}
    return tuple(kind for kind in KINDS if kind in found)


def read_candidates(conn: sqlite3.Connection, tracker: Tracker | None, query: Query) -> Candidates:
    """Everything that may stand on the board of a query; which of it is ranked is decided later."""
    there = defaultdict(set)
    for metric, question, category in conn.execute(_THERE, (query.kind, _MENU_RUNS)):
        there[str(metric)].add((question, category))
    of: Of = (query.question, query.category)
    metric = query.metric or _main(query.kind, there, of)
    kinds = kinds_there(conn, tracker)
    ofs = tuple(sorted(set().union(*there.values()), key=_of_order)) if there else ()
    metrics = tuple(sorted((name for name, ofs in there.items() if of in ofs), key=lambda name: _order(query, name)))
    return Candidates(
        query,
        metric,
        kinds,
        metrics,
        ofs,
        tuple(_candidates(conn, query, metric)),
        tuple(_stated(tracker, query, metric)),
        _compared(conn, metric, of),
    )


def _main(kind: str, there: Mapping[str, set[Of]], of: Of) -> str:
    """The kind's main metric, or what is there instead."""
    main = MAIN.get(kind, ())
    found = [name for name in (*main, *sorted(there)) if of in there.get(name, ())]
    return found[0] if found else main[0] if main else "exact"


def _order(query: Query, name: str) -> tuple[int, str]:
    main = MAIN.get(query.kind, ())
    return (main.index(name) if name in main else len(main)), name


def _of_order(of: Of) -> tuple[bool, bool, str, str]:
    return of != (None, None), of[1] is not None, of[0] or "", of[1] or ""


def _candidates(conn: sqlite3.Connection, query: Query, metric: str) -> Iterable[Candidate]:
    """One a run: its final score where there is one, else what it has so far."""
    rows: dict[int, sqlite3.Row] = {}
    for row in conn.execute(_SCORES, (query.kind, metric, query.question, query.category)):
        before = rows.get(row["run"])
        if before is None or before["partial"] >= row["partial"]:
            rows[row["run"]] = row
    alarms = _alarms(conn, query)
    specs: dict[str, dict[str, Any]] = {}
    for row in rows.values():
        text = row["spec"]
        if text not in specs:
            specs[text] = dict(zip(_SPEC_NAMES, json.loads(text), strict=True))
        yield _candidate(conn, query, row, specs[text], alarms.get(row["run"], ()))


def _candidate(
    conn: sqlite3.Connection, query: Query, row: sqlite3.Row, spec: Mapping[str, Any], others: Iterable[Alarm]
) -> Candidate:
    body = json.loads(row["body"])
    own = [Alarm(one["kind"], one.get("question"), one["text"]) for one in body.get("alarms") or ()]
    here = [one for one in others if _concerns(query, one)]
    raised = tuple(dict.fromkeys([*own, *here]))
    flat = any(one.kind == "collapse" for one in raised)
    floors = _numbers(body.get("floors"))
    data = (spec.get("data") or {}).get("path")
    return Candidate(
        run=row["run"],
        model=row["model"],
        from_run=row["from_run"],
        state=row["state"],
        progress=(row["done"], row["total"]),
        archived=bool(row["archived"]),
        value=body["value"],
        low=body.get("ci_low"),
        high=body.get("ci_high"),
        n=body["n"],
        answered=body.get("answered", body["n"]),
        failed=body.get("failed", 0),
        empty=body.get("empty") or 0,
        unparseable=body.get("unparseable") or 0,
        gain=body["value"] - max(floors.values()) if floors else None,
        source=body.get("source", "run"),
        stated=bool(body.get("stated")),
        partial=bool(row["partial"]),
        lower_is_better=bool(body.get("lower_is_better")),
        floors=floors,
        references=_numbers(body.get("references")),
        alarms=raised,
        questions=_questions(conn, query, row["run"]) if flat else 0,
        deciding=deciding(query.kind, spec, body),
        minor=minor(query.kind, spec),
        data=PurePath(data).name if data else "",
    )


def _concerns(query: Query, alarm: Alarm) -> bool:
    """A question's alarm is not of the others; of its data sets each has raised its own."""
    if query.question is not None and query.category is not None and alarm.kind == "collapse":
        return False
    return query.question is None or alarm.question in (None, query.question)


def _numbers(found: Any) -> dict[str, float]:
    return {name: float(value) for name, value in (found or {}).items() if math.isfinite(value)}


def _alarms(conn: sqlite3.Connection, query: Query) -> dict[int, list[Alarm]]:
    """Of each run, the alarms that rows of a question or a category do not repeat; overall rows have nearly all.

    Not there either is what a later run found: that its results are the same. Where tasks are scored without a whole
    (some of U2-BENCH), alarms are in the rows of the tasks.
    """
    found: dict[int, dict[Alarm, None]] = defaultdict(dict)
    for run, owed in owed_to(conn).items():
        found[run].update(dict.fromkeys(owed))
    if query.question is None and query.category is None:
        return {run: list(alarms) for run, alarms in found.items()}
    for run, text in conn.execute(_ALARMS, (query.kind, query.kind == "u2bench")):
        for one in json.loads(text):
            if one["kind"] != "coverage":
                found[run][Alarm(one["kind"], one.get("question"), one["text"])] = None
    return {run: list(alarms) for run, alarms in found.items()}


def _questions(conn: sqlite3.Connection, query: Query, run: int) -> int:
    """How many questions the score of a run is over; asked only where some of them are flat."""
    if query.question is not None and query.category is not None:
        return 1
    return int(conn.execute(_QUESTIONS, {"run": run, "question": query.question}).fetchone()[0])


def _stated(tracker: Tracker | None, query: Query, metric: str) -> Iterable[Stated]:
    if tracker is None or query.question is not None or query.category is not None:
        return
    for model in tracker.models:
        for score in model.scores:
            if score.kind == query.kind and score.metric == metric:
                yield Stated(model.name, score.value, score.n, score.approximate, score.text)


def _compared(conn: sqlite3.Connection, metric: str, of: Of) -> dict[frozenset[int], RankTable]:
    """Rank intervals that a comparison has found by bootstrap, by the runs that it compared; the newest first."""
    found: dict[frozenset[int], RankTable] = {}
    rows = conn.execute(
        "SELECT id, json_extract(spec, '$.tool.args') FROM runs WHERE kind = 'tool' AND state = 'done' "
        "AND json_extract(spec, '$.tool.name') = 'compare' ORDER BY id DESC LIMIT ?",
        (_COMPARES_READ,),
    ).fetchall()
    for tool, args in rows:
        wanted = json.loads(args or "{}")
        if (wanted.get("question"), wanted.get("category")) != of:
            continue
        ranks = {
            int(row["run"]): Rank(int(row["rank_low"]), int(row["rank_high"]), tool)
            for row in _ranks(conn, tool)
            if row.get("metric") == metric and row.get("rank_low") is not None
        }
        if len(ranks) > 1:
            found.setdefault(frozenset(ranks), ranks)
    return found


def _ranks(conn: sqlite3.Connection, tool: int) -> list[dict[str, Any]]:
    """What a comparison left in its directory."""
    file = str(conn.execute("PRAGMA database_list").fetchone()["file"])
    path = PurePath(file).parent / "runs" / str(tool) / "scores.json"
    try:
        with open(path, encoding="utf-8") as text:
            found = json.load(text).get("ranks")
    except (OSError, ValueError, AttributeError):
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
