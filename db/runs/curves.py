"""Curves: every point, and for long curves buckets of points, so that drawing one costs the same at any length.

A bucket of level k covers 16**k steps and holds how many values there are, their sum, the least and the greatest.
It is computed anew from the level below and never added to: a step that a later attempt repeats is right in every
level, and the rows depend on the points alone, not on how they arrived.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from db.runs.rows import MetricPoint, MetricSummary

BITS = 4
TOP = 15
FEW = 4096
"""Curves of up to so many lines have no buckets: reading their points costs little."""
_NEAR = 8
"""Buckets to refresh that lie this near to each other are refreshed in one statement."""

Point = tuple[int, int, float | None, float | None]
"""Curve, step, value (None: not a number) and Unix seconds."""

_FROM_POINTS = (
    "INSERT OR REPLACE INTO metric_buckets(curve, level, bucket, n, total, low, high, last, t) "
    "SELECT :curve, 1, step >> :bits, count(value), total(value), min(value), max(value), "
    "max(step) FILTER (WHERE value IS NOT NULL), max(t) FILTER (WHERE value IS NOT NULL) FROM metrics "
    "WHERE curve = :curve AND step BETWEEN :first AND :last GROUP BY 3"
)
_FROM_BELOW = (
    "INSERT OR REPLACE INTO metric_buckets(curve, level, bucket, n, total, low, high, last, t) "
    "SELECT :curve, :level, bucket >> :bits, sum(n), total(total), min(low), max(high), max(last), max(t) "
    "FROM metric_buckets WHERE curve = :curve AND level = :level - 1 AND bucket BETWEEN :first AND :last GROUP BY 3"
)


def curve_id(conn: sqlite3.Connection, run_id: int, name: str) -> int:
    """The curve of a run with that name; it is made where there is none. Call inside a transaction."""
    found = conn.execute("SELECT id FROM curves WHERE run = ? AND name = ?", (run_id, name)).fetchone()
    if found is not None:
        return int(found[0])
    made = conn.execute("INSERT INTO curves(run, name, lines, levels) VALUES (?,?,0,0)", (run_id, name))
    assert made.lastrowid is not None
    return made.lastrowid


def add_points(conn: sqlite3.Connection, curve: int, points: Sequence[Point]) -> None:
    """Take in points of one curve; a step that comes again replaces what was there. Call inside a transaction."""
    conn.executemany("INSERT OR REPLACE INTO metrics(curve, step, value, t) VALUES (?,?,?,?)", points)
    conn.execute("UPDATE curves SET lines = lines + ? WHERE id = ?", (len(points), curve))
    have = _levels(conn, curve)
    if have:
        _refresh(conn, curve, _ranges({point[1] >> BITS for point in points}), 1, have)
    _grow(conn, curve, have)


def forget_curves(conn: sqlite3.Connection, run_id: int) -> None:
    """Delete a run's curves. Call inside a transaction."""
    for table in ("metrics", "metric_buckets"):
        conn.execute(f"DELETE FROM {table} WHERE curve IN (SELECT id FROM curves WHERE run = ?)", (run_id,))
    conn.execute("DELETE FROM curves WHERE run = ?", (run_id,))


def rebuild_buckets(conn: sqlite3.Connection) -> None:
    """Make the buckets of every curve anew. Call inside a transaction."""
    conn.execute("DELETE FROM metric_buckets")
    conn.execute("UPDATE curves SET levels = 0")
    for row in conn.execute("SELECT id FROM curves").fetchall():
        _grow(conn, row[0], 0)


def curve(
    conn: sqlite3.Connection, run_id: int, name: str, after_step: int = -1, points: int = 400
) -> list[MetricPoint]:
    """A curve in at most about ``points`` values: the mean of each stretch of steps beyond ``after_step``.

    The stretches begin at multiples of their width, so what is drawn stays where it is while a curve grows.
    """
    found = conn.execute("SELECT id, levels FROM curves WHERE run = ? AND name = ?", (run_id, name)).fetchone()
    if found is None:
        return []
    low = _edge(conn, found["id"], after_step, "ASC")
    high = _edge(conn, found["id"], after_step, "DESC")
    if low is None or high is None:
        return []
    level, width = stretch(low, high, points, found["levels"])
    groups: dict[int, tuple[int, float, float, float, int, float]] = {}
    first = max(after_step + 1, low >> (BITS * level) << (BITS * level))
    for row in _read(conn, found["id"], first, high, level, width):
        group, *fresh = row
        groups[group] = _merged(groups[group], fresh) if group in groups else tuple(fresh)
    return [
        MetricPoint(name, last, total / n, t, least, greatest)
        for _, (n, total, least, greatest, last, t) in sorted(groups.items())
    ]


def stretch(low: int, high: int, points: int, levels: int) -> tuple[int, int]:
    """From which level to read steps ``low`` to ``high``, and how many steps go into one value."""
    need = -(-(high - low + 1) // max(1, points))
    level = min(levels, (need.bit_length() - 1) // BITS)
    size = 1 << (BITS * level)
    return level, -(-need // size) * size


def summaries(conn: sqlite3.Connection, run_id: int) -> dict[str, MetricSummary]:
    """``last`` is the value at the highest step; what is not a number is left out."""
    found = {}
    for row in conn.execute("SELECT id, name, levels FROM curves WHERE run = ? ORDER BY name", (run_id,)).fetchall():
        if row["levels"]:
            query = (
                "SELECT sum(n), min(low), max(high), max(last) FROM metric_buckets WHERE curve = ?1 AND level = "
                + str(row["levels"])
            )
        else:
            query = (
                "SELECT count(*), min(value), max(value), max(step) FROM metrics WHERE curve = ?1 AND value IS NOT NULL"
            )
        count, least, greatest, last = conn.execute(query, (row["id"],)).fetchone()
        if count:
            value = conn.execute("SELECT value FROM metrics WHERE curve = ? AND step = ?", (row["id"], last))
            found[row["name"]] = MetricSummary(row["name"], value.fetchone()[0], count, least, greatest)
    return found


def last_time(conn: sqlite3.Connection, run_id: int) -> float | None:
    """When the newest point of any of a run's curves was made, going by the highest steps."""
    times = [
        conn.execute("SELECT t FROM metrics WHERE curve = ? ORDER BY step DESC LIMIT 1", (row[0],)).fetchone()
        for row in conn.execute("SELECT id FROM curves WHERE run = ?", (run_id,)).fetchall()
    ]
    return max((row[0] for row in times if row is not None and row[0] is not None), default=None)


def _levels(conn: sqlite3.Connection, curve: int) -> int:
    return int(conn.execute("SELECT levels FROM curves WHERE id = ?", (curve,)).fetchone()[0])


def _grow(conn: sqlite3.Connection, curve: int, have: int) -> None:
    """Add the levels that a curve of this length needs: the topmost has at most 16 buckets or so."""
    lines = conn.execute("SELECT lines FROM curves WHERE id = ?", (curve,)).fetchone()[0]
    if lines <= FEW:
        return
    low, high = _edge(conn, curve, None, "ASC"), _edge(conn, curve, None, "DESC")
    if low is None or high is None:
        return
    want = min(TOP, ((high - low + 1).bit_length() - 1) // BITS)
    if want > have:
        _refresh(conn, curve, [(low >> BITS, high >> BITS)], have + 1, want)
        conn.execute("UPDATE curves SET levels = ? WHERE id = ?", (want, curve))


def _refresh(conn: sqlite3.Connection, curve: int, ranges: list[tuple[int, int]], first: int, last: int) -> None:
    """Compute levels ``first`` to ``last`` anew where the given ranges of level 1 buckets lie in them."""
    for level in range(1, last + 1):
        if level > 1:
            ranges = _ranges_above(ranges)
        if level < first:
            continue
        statement = _FROM_POINTS if level == 1 else _FROM_BELOW
        conn.executemany(
            statement,
            [
                {
                    "curve": curve,
                    "level": level,
                    "bits": BITS,
                    "first": begin << BITS,
                    "last": ((end + 1) << BITS) - 1,
                }
                for begin, end in ranges
            ],
        )


def _ranges(buckets: Iterable[int]) -> list[tuple[int, int]]:
    return list(_joined((bucket, bucket) for bucket in sorted(buckets)))


def _ranges_above(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return list(_joined((begin >> BITS, end >> BITS) for begin, end in ranges))


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted ranges with those that touch or nearly do made one."""
    begin = end = None
    for first, last in ranges:
        if begin is None or end is None:
            begin, end = first, last
        elif first <= end + _NEAR:
            end = max(end, last)
        else:
            yield begin, end
            begin, end = first, last
    if begin is not None and end is not None:
        yield begin, end


def _edge(conn: sqlite3.Connection, curve: int, after: int | None, order: str) -> int | None:
    """The least (ASC) or greatest (DESC) step beyond ``after``: one seek, where min and max together would scan."""
    beyond = "" if after is None else f"AND step > {after}"
    row = conn.execute(
        f"SELECT step FROM metrics WHERE curve = ? {beyond} ORDER BY step {order} LIMIT 1", (curve,)
    ).fetchone()
    return None if row is None else int(row[0])


def _read(
    conn: sqlite3.Connection, curve: int, first: int, high: int, level: int, width: int
) -> Iterator[sqlite3.Row | tuple[int, ...]]:
    """Groups of ``width`` steps from ``first`` on: finer levels up to where a bucket of ``level`` begins."""
    base = first // width * width
    at = first
    for finer in range(level + 1):
        size = 1 << (BITS * (finer + 1))
        end = high if finer == level else min(high, -(-at // size) * size - 1)
        if at <= end:
            yield from _read_level(conn, curve, finer, at, end, base, width)
            at = end + 1


def _read_level(
    conn: sqlite3.Connection, curve: int, level: int, first: int, last: int, base: int, width: int
) -> list[tuple[int, ...]]:
    values = {"curve": curve, "level": level, "first": first, "last": last, "base": base, "width": width}
    if level == 0:
        query = (
            "SELECT (step - :base) / :width, count(*), total(value), min(value), max(value), max(step), "
            "coalesce(max(t), 0) FROM metrics "
            "WHERE curve = :curve AND step BETWEEN :first AND :last AND value IS NOT NULL GROUP BY 1"
        )
    else:
        bits = BITS * level
        values |= {"bits": bits, "first": first >> bits, "last": last >> bits}
        query = (
            "SELECT ((bucket << :bits) - :base) / :width, sum(n), total(total), min(low), max(high), max(last), "
            "coalesce(max(t), 0) "
            "FROM metric_buckets WHERE curve = :curve AND level = :level AND bucket BETWEEN :first AND :last AND n > 0 "
            "GROUP BY 1"
        )
    return [tuple(row) for row in conn.execute(query, values)]


def _merged(one: Sequence[float], other: Sequence[float]) -> tuple[int, float, float, float, int, float]:
    """Two parts of one group."""
    return (
        int(one[0] + other[0]),
        one[1] + other[1],
        min(one[2], other[2]),
        max(one[3], other[3]),
        int(max(one[4], other[4])),
        max(one[5], other[5]),
    )
