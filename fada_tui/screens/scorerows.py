"""The lines of a run's scores: tables and plots, each readable without a colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from db.runs.rows import Alarm, Score
from fada_tui.format import count, percent, score, size
from fada_tui.screens.comparerows import heading, wrapped
from fada_tui.sources.scoreview import Flatness, ScoreView
from fada_tui.widgets import braille, plots
from fada_tui.widgets.line import Row, left, right

WIDE = 100
_NAME = 26
_CURVE = 8
_LEGEND = "━● value  ├──┤ 95 %  ◆ highest floor  ◈ both"


def alarm_rows(alarms: Sequence[Alarm], width: int) -> list[Row]:
    return [row for one in alarms for row in wrapped(f"⚠ {one.kind}: {one.text}", width, "alarm", limit=3)]


def overall_rows(found: Sequence[Score], width: int) -> list[Row]:
    """Each metric over everything: interval, floors, references, n."""
    rows: list[Row] = []
    for one in [each for each in found if each.question is None and each.category is None]:
        sign = "⚠ " if one.alarms else "… " if one.partial else "  "
        token = "alarm" if one.alarms else "title"
        span = _interval(one)
        counts = " · ".join([f"n {one.n:,}", f"{one.answered:,} answered", *(one.unanswered or ("none failed",))])
        few = ", ".join([f"n {one.n:,}", *one.unanswered])
        rows.append(
            Row(
                (
                    (sign, token),
                    (left(one.metric, 19), "title"),
                    (right(_value(one), 7), token),
                    (f" {span:<16}", ""),
                    (counts if len(counts) <= width - 46 else few, "dim"),
                )
            )
        )
        beside = [f"floor {name} {score(value)}" for name, value in one.floors.items()]
        beside += [] if one.gain is None else [f"gain {one.gain:+.3f}"]
        beside += [f"ref {name} {score(value)}" for name, value in one.references.items()]
        if beside:
            parted = [*(f"{one} ·" for one in beside[:-1]), beside[-1]]
            rows += wrapped(parted, width, "dim", indent=" " * (21 if width >= WIDE else 4))
    return rows


def group_rows(found: Sequence[Score], metric: str, over: str, width: int) -> list[Row]:
    """A bar a question, or a category (of a benchmark a question and data set)."""
    here = [one for one in found if one.metric == metric and _grouped(one) == over]
    if not here:
        return []
    rows = heading(f"{metric} by {over}", _LEGEND)
    return rows + bar_rows([(one.of, one) for one in here], width)


def _grouped(score: Score) -> str | None:
    if score.category is not None:
        return "category"
    return None if score.question is None else "question"


def own_rows(found: Sequence[Score], shown: str, width: int) -> list[Row]:
    """What only single questions are measured by."""
    everywhere = {one.metric for one in found if one.question is None and one.category is None}
    here = [one for one in found if _grouped(one) == "question" and one.metric not in everywhere]
    if not here:
        return []
    rows = heading("Measures of single questions", "" if width < WIDE else _LEGEND)
    return rows + bar_rows([(f"{one.question} {one.metric}", one) for one in here], width)


def bar_rows(named: Sequence[tuple[str, Score]], width: int) -> list[Row]:
    """Name, value, bar with whiskers and floor; ``n`` and failures to the right."""
    name_width = min(_NAME, max(len(name) for name, _ in named) + 1)
    wide = width >= WIDE
    tail = 17 if wide else 8
    room = max(10, width - name_width - 10 - tail - (16 if wide else 0))
    every = [one for _, one in named]
    scale = plots.of_scores([value for one in every for value in (one.value, one.ci_low, one.ci_high)])
    head = right("n", tail) if not wide else f"{'n':>8}{'failed':>9}"
    rows = [Row(((" " * (name_width + 10 + (16 if wide else 0)), ""), (plots.axis(scale, room), "dim"), (head, "dim")))]
    for name, one in named:
        plot = plots.score_bar(one.value, one.ci_low, one.ci_high, scale, room, one.floor)
        figures = f"{one.n:>{8},}" + (f"{one.failed:>9,}" if wide else "")
        token = "alarm" if one.alarms else ""
        value = ((right(_value(one), 7), token), (" ⚠ " if one.alarms else "   ", "alarm"))
        span = ((f"{_interval(one):<16}", "dim"),) if wide else ()
        rows.append(Row(((left(name, name_width - 1) + " ", token), *value, *span, (plot, "graph"), (figures, ""))))
    return rows


def histogram_rows(counts: Mapping[str, Mapping[float, int]], metric: str, width: int) -> list[Row]:
    """How the values of single answers lie."""
    rows = heading(f"Answers by their {metric}")
    values = counts.get(metric)
    if not values:
        known = ", ".join(counts)
        said = f"of this run only {known}: m" if known else "this run kept no value of each answer; a rescore does"
        return [*rows, *wrapped(said, width, "dim", indent="  ")]
    found = plots.bins(dict(values))
    total = sum(one.count for one in found)
    room = max(10, width - 14 - 9 - 7)
    for at, one in enumerate(found):
        last = "]" if at == len(found) - 1 else ")"
        name = f"{one.low:g}" if one.low == one.high else f"[{one.low:.1f}, {one.high:.1f}{last}"
        share = percent(one.count / total)
        bar = plots.histogram_bar(one, found, room)
        rows.append(Row(((right(name, 12), ""), ("  ", ""), (bar, "graph"), (f"{one.count:>9,}{share:>7}", ""))))
    return rows


def flatness_rows(found: Sequence[Flatness], width: int) -> list[Row]:
    """The collapse alarm, question by question: how near it is to ringing, and why it does or does not."""
    if not found:
        return []
    rows = heading("How far from the collapse alarm")
    said = "━● share of the commonest answer  ◆ of the commonest reference (what the majority floor gets)  ┃ rings"
    rows += wrapped(said, width, "dim")
    name_width = min(18, max(len(one.question) for one in found) + 1)
    figures = f"{'bits':>6}{'rings≤':>7}{'refs':>6}  "
    room = max(10, width - name_width - 5 - len(figures) - 9)
    rows.append(Row(((" " * (name_width + 6 + room), ""), (figures, "dim"))))
    rows += [_flatness_row(one, name_width, room) for one in found]
    note = (
        "It rings where one answer makes up the share at ┃, or where the answers' entropy is at or under 30 % of the "
        "references' (rings≤); and only where chance, with references as they are, gives that less than once in 100."
    )
    return rows + wrapped(note, width, "dim")


def _flatness_row(one: Flatness, name_width: int, room: int) -> Row:
    threshold = one.ringing_share
    bar = plots.threshold_bar(one.said.top_share, one.true.top_share, threshold, room)
    state = "⚠ rings" if one.rings else "cannot" if threshold is None else "quiet"
    bits = f"{one.said.entropy:>6.2f}{one.ringing_entropy:>7.2f}{one.true.entropy:>6.2f}  "
    token = "alarm" if one.rings else ""
    return Row(
        (
            (left(one.question, name_width), token),
            (right(percent(one.said.top_share), 5), token),
            (" ", ""),
            (bar, "graph"),
            (bits, ""),
            (state, token or "dim"),
        )
    )


def held_out_rows(view: ScoreView, metric: str, width: int) -> list[Row]:
    """The score on held-out samples as the training went, its interval as a band, the floor as a line of dashes."""
    here = [
        one
        for one in view.held_out
        if one.metric == metric and one.question is None and one.category is None and one.step is not None
    ]
    if not here:
        return []
    last = here[-1]
    span = f" {_interval(last)}" if last.ci_low is not None else " (no interval)"
    rows = heading(f"Held-out {metric} over steps", f"{score(last.value)}{span} at step {last.step:,}, n {last.n:,}")
    bounds = [value for one in here for value in (one.value, one.ci_low, one.ci_high)]
    scale = plots.of_scores(bounds)
    figure = 6
    room = max(10, width - figure)
    x, y = (0.0, float(max(1, last.step or 1))), (scale.low, scale.high)
    steps = [(float(one.step or 0), one) for one in here]
    line = braille.plot([(step, one.value) for step, one in steps], room, _CURVE, x=x, y=y)
    band = [
        (step, one.ci_low, one.ci_high) for step, one in steps if one.ci_low is not None and one.ci_high is not None
    ]
    under = braille.shade(band, room, _CURVE, x=x, y=y) if band else [braille.BLANK * room] * _CURVE
    floor = max(last.floors.values(), default=None)
    for at in range(_CURVE):
        low, high = (scale.low + (scale.high - scale.low) * (_CURVE - row) / _CURVE for row in (at + 1, at))
        label = f"{high:.2g}" if at == 0 else f"{scale.low:.2g}" if at == _CURVE - 1 else ""
        dashed = floor is not None and (low < floor <= high or (floor <= low == scale.low))
        rows.append(Row(((right(label, figure - 1) + " ", "dim"), *_curve_cells(line[at], under[at], dashed))))
    end = f"step {last.step:,}"
    rows.append(Row(((" " * figure, ""), ("0", "dim"), (right(end, room - 1), "dim"))))
    if floor is not None:
        name = max(last.floors, key=lambda key: last.floors[key])
        rows.append(Row(((" " * figure, ""), (f"╌ floor {name} {score(floor)}; dots around the line: 95 %", "dim"))))
    return rows


def _curve_cells(line: str, under: str, dashed: bool) -> list[tuple[str, str]]:
    """The curve over its band, and where neither is, the floor."""
    spans: list[tuple[str, str]] = []
    for over, below in zip(line, under, strict=True):
        if over != braille.BLANK:
            # In one cell both: without colour the curve must still stand out from its band.
            cell, token = over, "graph"
        elif below != braille.BLANK:
            cell, token = below, "dim"
        else:
            cell, token = ("╌" if dashed else " "), "dim"
        if spans and spans[-1][1] == token:
            spans[-1] = (spans[-1][0] + cell, token)
        else:
            spans.append((cell, token))
    return spans


def table_rows(found: Sequence[Score], width: int) -> list[Row]:
    """Every row there is, as figures."""
    rows = heading("Every score", f"{count(len(found), 'row')}")
    wide = width >= WIDE
    name_width = min(_NAME if wide else 20, max((len(_of(one)) for one in found), default=0) + 1)
    head = f"{'value':>7} {'95 %':<16}{'n':>7}{'failed':>7}"
    head += f"{'answered':>9}{'majority':>9}{'shuffled':>9}" * wide
    rows.append(Row(((left("", 18 + name_width) + " ", ""), (head, "dim"))))
    for one in found:
        sign = "⚠" if one.alarms else " "
        text = f"{_value(one):>7} {_interval(one):<16}{one.n:>7,}{one.failed:>7,}"
        if wide:
            text += f"{one.answered:>9,}" + "".join(f"{_floor(one, name):>9}" for name in ("majority", "shuffled"))
        token = "alarm" if one.alarms else ""
        rows.append(Row(((f"{sign}{left(one.metric, 17)}{left(_of(one), name_width)} ", token), (text, token))))
    return rows


def _of(one: Score) -> str:
    return one.of or ("overall" if one.step is None else f"step {one.step:,}")


def _floor(one: Score, name: str) -> str:
    return score(one.floors[name]) if name in one.floors else ""


def _value(one: Score) -> str:
    if one.metric.endswith("_bytes"):
        return size(one.value)
    return f"{one.value:.1f}" if abs(one.value) > 1.0001 else score(one.value)


def _interval(one: Score) -> str:
    if one.ci_low is None or one.ci_high is None:
        return ""
    digits = 1 if max(abs(one.ci_low), abs(one.ci_high)) > 1.0001 else 3
    return f"[{one.ci_low:.{digits}f}, {one.ci_high:.{digits}f}]"
