"""From what was read to a board: who is ranked with whom, who is not and why, and floors in their place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from backends.leaderboard.alike import Alike, differences, oddities, word
from backends.leaderboard.entries import (
    Board,
    Candidate,
    Candidates,
    Entry,
    Group,
    Rank,
    Stated,
    View,
)
from backends.leaderboard.published import figures

COVERAGE = 0.95
"""Below this share of answers a run is not ranked."""
FLAT_SHARE = 0.5
"""A run that gives one answer to this share of its questions is not ranked."""
_SAME = 1e-9


def arrange(found: Candidates, view: View | None = None) -> Board:
    """The board of what was read, as ``view`` wants it."""
    wanted = view or View()
    runs, older = _newest(found) if wanted.newest else (list(found.runs), 0)
    alike = _alike(runs)
    why = {one.run: why_not(one, most) for members in alike for most in (_most(members),) for one in members}
    why |= {one.run: why_not(one) for one in runs if one.run not in why}
    words = wanted.text.casefold().split()
    lower = any(one.lower_is_better for one in runs)
    groups = [(members, _kept(entries, words)) for members, entries in (_group(one, found, lower) for one in alike)]
    # Where none is ranked, the floors of one group are shown all the same; of one that is looked for.
    groups = [group for group in groups if group[1]] or [one for one in groups if _asked_for(one[0], words)][:1]
    groups.sort(key=lambda group: (-len(group[1]), -max(one.run for one in group[0])))
    first = groups[0][0][0].deciding if groups else {}
    made = [
        Group(
            _title(members),
            _differs(first, members) if at else (),
            tuple(_ordered([*entries, *_yardsticks(members, found, first=not at)], wanted, lower)),
        )
        for at, (members, entries) in enumerate(groups)
    ]
    if not made and not words and (rows := _published(found)):
        made = [Group("published", (), tuple(_ordered(rows, wanted, lower)))]
    unranked = [_entry(one, why[one.run]) for one in runs if why[one.run]]
    return Board(
        found.query.kind,
        found.metric,
        found.query.question,
        found.query.category,
        lower,
        tuple(made),
        tuple(_ordered(_kept(unranked, words), wanted, lower)),
        tuple(_ordered(_kept(map(_of_note, found.stated), words), wanted, lower)),
        older,
    )


def _differs(first: Mapping[str, Any], members: Sequence[Candidate]) -> tuple[str, ...]:
    imported = all(one.source == "import" for one in members)
    return differences(first, _most_told(members).deciding, "not known" if imported else "none")


def why_not(one: Candidate, most: int = 0) -> str:
    """Why a run's score is not ranked; empty where it is.

    Args:
        most: How many questions of the same data others were asked.
    """
    if one.partial:
        done, total = one.progress
        far = f" at {done} of {total}" if total else ""
        return f"{'still ' + one.state if one.state in ('starting', 'running', 'paused') else one.state}{far}"
    if one.state != "done":
        return f"the run is {one.state}"
    if one.stated:
        return "as stated elsewhere, not scored here"
    for alarm in one.alarms:
        if alarm.kind == "coverage":
            return alarm.text
    if not one.n or one.answered < COVERAGE * one.n:
        return f"{one.answered} of {one.n} answered: below {COVERAGE:.0%}"
    if one.n < COVERAGE * most:
        return f"{one.n} of the {most} questions that others were asked of this data"
    flat = len({alarm for alarm in one.alarms if alarm.kind == "collapse"})
    if flat and flat >= FLAT_SHARE * one.questions:
        return f"one answer for every image in {flat} of {max(one.questions, flat)} questions"
    return ""


def _newest(found: Candidates) -> tuple[list[Candidate], int]:
    """The newest run of each model and adapter that was asked and scored alike; a running one hides none.

    One that cannot be ranked by itself stands beside the newest that can: a failed night is no reason to forget what
    was measured before. Once there is a newer one that can, it is told no more.
    """
    kept: dict[object, Candidate] = {}
    growing = [one for one in found.runs if one.partial]
    over = [one for one in found.runs if not one.partial and not one.archived]
    for one in sorted(over, key=lambda one: one.run):
        how = tuple(sorted((name, str(value)) for name, value in one.deciding.items()))
        key = one.label.casefold(), one.source, one.stated, how
        fit = not why_not(one)
        kept[key, fit] = one
        if fit:
            kept.pop((key, False), None)
    return sorted([*kept.values(), *growing], key=lambda one: one.run), len(over) - len(kept)


def _alike(runs: Sequence[Candidate]) -> list[list[Candidate]]:
    """Own runs first, then those imported, which join where nothing known of them differs."""
    groups: list[tuple[Alike, list[Candidate]]] = []
    for imported in (False, True):
        for one in runs:
            if (one.source == "import") is not imported or one.partial or one.stated:
                continue
            home = next((members for alike, members in groups if alike.takes(one.deciding, imported)), None)
            if home is None:
                groups.append((Alike(one.deciding), [one]))
            else:
                home.append(one)
    return [members for _, members in groups]


def _most(members: Sequence[Candidate]) -> int:
    return max(one.n for one in members)


def _can_rank(members: Sequence[Candidate]) -> list[Candidate]:
    most = _most(members)
    return [one for one in members if not why_not(one, most)]


def _group(members: list[Candidate], found: Candidates, lower: bool) -> tuple[list[Candidate], list[Entry]]:
    """The members, and the entries of those that are ranked."""
    ranked = _can_rank(members)
    notes = oddities([one.minor for one in ranked])
    best = _most_told(members)
    entries = []
    for one, odd, rank in zip(ranked, notes, _ranks(ranked, found, lower), strict=True):
        missing = [name.replace("_", " ") for name in best.deciding if name not in one.deciding]
        unknown = (f"{', '.join(missing)} not known",) if missing and one.source == "import" else ()
        entries.append(_entry(one, "", (*unknown, *odd), rank))
    return members, entries


def _most_told(members: Sequence[Candidate]) -> Candidate:
    return max(members, key=lambda one: len(one.deciding))


def _ranks(ranked: Sequence[Candidate], found: Candidates, lower: bool) -> list[Rank | None]:
    """Ranks as intervals: by bootstrap where just these runs were compared, else where 95 % intervals overlap.

    A run whose whole interval lies above another's comes before it; of two that overlap either may (Klein, Wright and
    Wieczorek, J. R. Stat. Soc. A 183:589, 2020, with the intervals as they are). One without an interval has no rank.
    """
    bounds = {}
    for one in ranked:
        if one.low is not None and one.high is not None:
            bounds[one.run] = (-one.high, -one.low) if lower else (one.low, one.high)
    ranks = dict(zip(bounds, _overlaps(list(bounds.values())), strict=True))
    ranks |= found.compared.get(frozenset(one.run for one in ranked), {})
    return [ranks.get(one.run) for one in ranked]


def _overlaps(bounds: Sequence[tuple[float, float]]) -> list[Rank]:
    lows, highs = sorted(low for low, _ in bounds), sorted(high for _, high in bounds)
    total = len(bounds)
    return [Rank(1 + total - bisect_right(lows, high), total - bisect_left(highs, low)) for low, high in bounds]


def _entry(one: Candidate, why: str, notes: tuple[str, ...] = (), rank: Rank | None = None) -> Entry:
    told = [f"{name} {one.references[name]:.3f}" for name in ("stated", "rescored") if name in one.references]
    unread = [f"{count:,} {word}" for word, count in (("empty", one.empty), ("unparseable", one.unparseable)) if count]
    return Entry(
        "run",
        one.label,
        one.value,
        run=one.run,
        low=one.low,
        high=one.high,
        n=one.n,
        answered=one.answered,
        failed=one.failed,
        empty=one.empty,
        unparseable=one.unparseable,
        gain=one.gain,
        source=one.source,
        alarms=one.alarms,
        rank=rank,
        ranked=not why,
        why=why,
        notes=(*(("imported",) if one.source == "import" else ()), *told, *unread, *notes),
    )


def _of_note(one: Stated) -> Entry:
    notes = ("about", "stated in the note") if one.approximate else ("stated in the note",)
    why = "no answers, no interval, no floors to judge it by"
    return Entry("document", one.model, one.value, n=one.n, source="document", why=why, notes=(*notes, one.text))


def _title(members: Sequence[Candidate]) -> str:
    """``test.jsonl 941caad7 · 240 asked``."""
    best = _most_told(members)
    data = " ".join(
        part for part in (best.data, word(best.deciding["data"]) if "data" in best.deciding else "") if part
    )
    asked = sorted({one.n for one in _can_rank(members) or members})
    number = f"{asked[0]:,}" if len(asked) == 1 else f"{asked[0]:,}–{asked[-1]:,}"
    return f"{data or 'data not known'} · {number} asked"


# ------------------------------------------------------------- yardsticks
def _yardsticks(members: Sequence[Candidate], found: Candidates, *, first: bool) -> list[Entry]:
    """Floors and references of a group; what was published beside the first group alone."""
    rows = []
    published = _published(found) if first else []
    for role, values in (("floor", _gathered(members, "floors")), ("reference", _gathered(members, "references"))):
        for name, told in values.items():
            if name in ("stated", "rescored") or (published and name.startswith("published_")):
                continue
            low, high = min(told), max(told)
            notes = () if high - low < _SAME else (f"highest of {len(told)} runs, lowest {low:.3f}",)
            rows.append(Entry("floor" if role == "floor" else "reference", name, high, source=role, notes=notes))
    return rows + published


def _gathered(members: Sequence[Candidate], what: str) -> dict[str, list[float]]:
    """Of the ranked members, or of all where none is: a flat run's shuffled floor is its own score."""
    ranked = _can_rank(members) or list(members)
    values: dict[str, list[float]] = {}
    for one in ranked:
        for name, value in getattr(one, what).items():
            values.setdefault(name, []).append(value)
    return values


def _published(found: Candidates) -> list[Entry]:
    query = found.query
    if query.category is not None:
        return []
    return [
        Entry(
            "published",
            one.model,
            one.value,
            source="published",
            notes=(one.setting, "published" if one.verified else "published, second-hand"),
        )
        for one in figures(query.kind, found.metric, query.question)
    ]


# ------------------------------------------------------------- order
def _asked_for(members: Sequence[Candidate], words: Sequence[str]) -> bool:
    return bool(_kept((_entry(one, "") for one in members), words))


def _kept(entries: Iterable[Entry], words: Sequence[str]) -> list[Entry]:
    return [
        entry
        for entry in entries
        if all(word in f"{entry.name} #{entry.run or ''} {entry.source}".casefold() for word in words)
    ]


def _ordered(entries: Iterable[Entry], view: View, lower: bool) -> list[Entry]:
    """By value with the yardsticks in their place; in another order they come last."""
    sign = 1 if lower else -1
    keys: dict[str, Callable[[Entry], tuple[object, ...]]] = {
        "value": lambda entry: (sign * entry.value, entry.role != "run", entry.run or 0),
        "gain": lambda entry: (entry.gain is None, -(entry.gain or 0), sign * entry.value),
        "model": lambda entry: (entry.role != "run", entry.name.casefold(), -(entry.run or 0)),
        "newest": lambda entry: (entry.run is None, -(entry.run or 0), sign * entry.value),
    }
    return sorted(entries, key=keys[view.sort])
