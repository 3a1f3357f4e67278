"""The lines of a comparison: warnings, differences around zero, ranks, groups, and what the runs do not share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fada_tui.format import count, measured, score
from fada_tui.sources.comparison import Comparison, ComparisonView, Pair, Parting
from fada_tui.widgets.line import Line, Row, left, wrap
from fada_tui.widgets.plots import Scale, around_zero, axis, forest

WIDE = 100
_MOST_NAME = 28


def heading(text: str, note: str = "") -> list[Row]:
    return [Row(()), Row(((text, "key"), (f"  {note}", "dim")))]


def wrapped(text: str | Iterable[str], width: int, token: str, limit: int = 4, indent: str = "") -> list[Row]:
    lines = wrap(text, max(10, width - len(indent)), limit)
    return [Row(((indent, ""), (line, token))) for line in lines]


def run_rows(view: ComparisonView, width: int) -> list[Row]:
    """Who is who, each with its overall scores; a deleted run by its number alone."""
    rows = []
    for one in view.ids:
        run = view.run(one)
        if run is None:
            rows.append(Row(((f"#{one} ", "title"), ("deleted", "error"))))
            continue
        own = [found for found in view.scores if found.run == one]
        values = [f"{'⚠ ' if each.alarms else ''}{measured(each.metric, each.value)}" for each in own]
        said = "  ".join(f"{found.metric} {value}" for found, value in zip(own, values, strict=True))
        room = max(8, width - len(said) - 8)
        state = "" if run.is_over else f" {run.state}"
        name = left(f"{run.label}{state}", room)
        flat = any(found.alarms for found in own)
        rows.append(Row(((f"{f'#{one}':<6}", "title"), (name, ""), ("  ", ""), (said, "alarm" if flat else ""))))
    return rows


def warning_rows(view: ComparisonView, pair: Pair | None, width: int) -> list[Row]:
    """Everything that makes the numbers hard to believe, above them."""
    said = [view.outdated] if view.outdated else []
    comparison = view.comparison
    if comparison and comparison.left_out:
        names = " ".join(comparison.left_out)
        said.append(f"{names} has no value of each answer in every run: compared by {' and '.join(comparison.metrics)}")
    if pair is not None:
        said += pair.warnings
    said += [f"#{run} {alarm.kind}: {alarm.text}" for run, alarm in view.alarms()]
    return [row for text in dict.fromkeys(said) for row in wrapped(f"⚠ {text}", width, "alarm", limit=3)]


def pair_rows(pairs: Sequence[Pair], chosen: int, width: int) -> list[Row]:
    """One line a pair with a key to choose it by, ``n``, ``p`` and Holm's ``p`` to the right; a second where narrow."""
    names = max((len(_pair_name(pair)) for pair in pairs), default=0) + 3
    scale = around_zero(_reach(pairs))
    tail = "      n      p Holm p"
    room = max(8, width - names - 25 - len(tail))
    rows = [Row(((" " * (names + 25), ""), (axis(scale, room), "dim"), (tail, "dim")))]
    for at, pair in enumerate(pairs):
        sign = "❯ " if at == chosen and len(pairs) > 1 else "  "
        plot = forest(pair.difference, pair.ci_low, pair.ci_high, scale, room)
        figures = f"{pair.n_common:>7,}{_p(pair.p):>7}{_p(pair.p_holm):>7}"
        token = "title" if at == chosen else ""
        said = ((sign, "key"), (left(_pair_name(pair), names - 2), token), (left(_difference(pair), 25), token))
        rows.append(Row((*said, (plot, "graph"), (figures, "")), f"pair:{at}"))
    return rows


def explored_rows(explored: Sequence[Pair], width: int) -> list[Row]:
    """Differences within questions and categories, marked as the exploration that they are."""
    if not explored:
        return []
    note = f"exploration: {count(len(explored), 'interval')}, not corrected; some leave 0 out by chance"
    rows = heading("Within questions and categories", note if width >= WIDE else "")
    rows += wrapped(note, width, "dim") if width < WIDE else []
    name_width = min(_MOST_NAME if width >= WIDE else 17, max(len(_group_name(one)) for one in explored) + 1)
    scale = around_zero(_reach(explored))
    room = max(8, width - name_width - 25 - 8)
    rows.append(Row(((" " * (name_width + 25), ""), (axis(scale, room), "dim"), ("       n", "dim"))))
    before = True
    for one in explored:
        if before and one.category is not None:
            rows.append(Row(()))
        before = one.category is None
        rows.append(Row(_explored_line(one, scale, name_width, room)))
    return [*rows, *_reasons(explored, width)]


def _reasons(explored: Sequence[Pair], width: int) -> list[Row]:
    """Why some have no interval, each reason once with the groups that it is of."""
    reasons: dict[str, list[str]] = {}
    for one in explored:
        for text in one.warnings:
            reasons.setdefault(text, []).append(_group_name(one))
    return [row for text, names in reasons.items() for row in wrapped(f"{', '.join(names)}: {text}", width, "dim")]


def _explored_line(one: Pair, scale: Scale, name_width: int, room: int) -> Line:
    plot = forest(one.difference, one.ci_low, one.ci_high, scale, room)
    name = left(_group_name(one), name_width - 1) + " "
    return ((name, ""), (left(_difference(one), 25), ""), (plot, "graph"), (f"{one.n_common:>8,}", ""))


def rank_rows(comparison: Comparison, metric: str) -> list[Row]:
    """Of three runs and more: where each stands and where it might."""
    ranks = [one for one in comparison.ranks if one.metric == metric]
    if len(ranks) < 3:
        return []
    rows = heading("Ranks", f"on the {count(ranks[0].n, 'question')} that all share; in 95 % of resamples")
    for one in sorted(ranks, key=lambda one: (one.rank is None, one.rank)):
        if one.rank is None:
            said = "not ranked: under 95 % answered, or nothing that all share"
        else:
            known = one.rank_low is not None and one.rank_high is not None
            span = f"[{one.rank_low}–{one.rank_high}]" if known else "(too few images for an interval)"
            said = f"{one.rank:>3}  {span:<8}  {score(one.value)}"
        rows.append(Row(((f"  {f'#{one.run}':<6}", "title"), (said, "" if one.rank else "dim"))))
    return rows


def parting_rows(parting: Parting | None, width: int) -> list[Row]:
    if parting is None:
        return []
    rows = heading("The samples where they part", "s walks them" if parting.total else "")
    a, b = f"#{parting.a}", f"#{parting.b}"
    said = f"  only {a} right {parting.a_right:,} · only {b} right {parting.b_right:,}"
    rows += wrapped(f"{said} · both wrong in other words {parting.neither:,} (right: an exact match)", width, "")
    return rows


def spec_rows(view: ComparisonView, a: int, b: int, width: int, whole: bool) -> list[Row]:
    """Two columns: the parts of the specs that differ, or all; what only one has is ``–`` in the other."""
    first, second = view.specs.get(a, {}), view.specs.get(b, {})
    keys = sorted(first.keys() | second.keys())
    differing = [key for key in keys if first.get(key) != second.get(key)]
    same = len(keys) - len(differing)
    note = "d only what differs" if whole else f"{same} alike; d shows all"
    rows = heading("What was done otherwise", note)
    name_width = min(26, max((len(key) for key in keys), default=0) + 1)
    column = max(8, (width - name_width - 4) // 2)
    head = ((" " * (name_width + 2), ""), (left(f"#{a}", column + 2), "title"), (f"#{b}", "title"))
    rows.append(Row(head))
    if not differing and not whole:
        return [*rows, Row((("  nothing: the same spec", "dim"),))]
    for key in keys if whole else differing:
        rows += _spec_row(key, first.get(key), second.get(key), name_width, column)
    return rows


def _spec_row(key: str, a: str | None, b: str | None, name_width: int, column: int) -> list[Row]:
    one, other = (wrap("–" if text is None else text, column, limit=6) for text in (a, b))
    sign = "≠ " if a != b else "  "
    rows = []
    for at in range(max(len(one), len(other))):
        name = (sign if at == 0 else "  ", "accent"), (left(key if at == 0 else "", name_width), "dim")
        halves = [lines[at] if at < len(lines) else "" for lines in (one, other)]
        rows.append(Row((*name, (left(halves[0], column + 2), ""), (left(halves[1], column), ""))))
    return rows


def waiting_rows(view: ComparisonView, width: int) -> list[Row]:
    """What is in the way, or how far the job is; the panel is free meanwhile."""
    if view.trouble is not None:
        message, hint = view.trouble
        rows = [row for line in message.split("\n") for row in wrapped(line, width, "error", limit=6)]
        return rows + (wrapped(f"→ {hint}", width, "") if hint else [])
    job = view.job
    if job is None:
        return []
    why = f": {job.reason}" if job.reason and job.is_waiting else ""
    done = f" {job.done}/{job.total} {job.unit or ''}" if job.done is not None and job.total else ""
    return [
        *wrapped(f"Comparing them as job #{job.id}: {job.state}{why}{done} …", width, "running"),
        *wrapped("esc leaves, the job goes on; what it finds is kept and shown at once the next time", width, "dim"),
    ]


def _pair_name(pair: Pair) -> str:
    return f"#{pair.a} − #{pair.b}"


def _group_name(one: Pair) -> str:
    return one.question or one.category or ""


def _reach(pairs: Sequence[Pair]) -> list[float | None]:
    return [value for pair in pairs for value in (pair.difference, pair.ci_low, pair.ci_high)]


def _difference(pair: Pair) -> str:
    if pair.difference is None:
        return "nothing in common"
    if pair.ci_low is None or pair.ci_high is None:
        return f"{pair.difference:+.3f} no interval"
    return f"{pair.difference:+.3f} [{pair.ci_low:+.3f}, {pair.ci_high:+.3f}]"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"
