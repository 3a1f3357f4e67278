"""The parts of the Run pane, each a function from data to lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fada_tui.format import count, duration, interval, measured, number, percent, rate, score, size, size_pair
from fada_tui.sources.views import RunView
from fada_tui.widgets.braille import bar
from fada_tui.widgets.line import Line, cut, left, right, spread, wrap
from fada_tui.widgets.status import is_right, state_span, tag_text, waiting_for

if TYPE_CHECKING:
    from db.runs.rows import Alarm, Message, Prediction, Run, Score

_LEVEL = {"warning": ("⚠", "alarm"), "error": ("✗", "error")}


def state_line(run: Run, width: int) -> Line:
    """State, phase and attempt; on the right how long it took or takes."""
    sign, token = state_span(run)
    begin: list[tuple[str, str]] = [(f"{sign} {run.state}", token)]
    if run.is_active and run.reason:
        begin.append((f"  {run.reason}", "running"))
    elif run.phase and run.is_active:
        begin.append((f"  {run.phase}", "dim"))
    if run.attempt > 1:
        begin.append((f"  attempt {run.attempt}", "dim"))
    if run.state == "paused":
        begin.append(("  frees no memory; P goes on", "dim"))
    took = duration(run.ended - run.started) if run.ended and run.started else ""
    goes_on = run.eta_s is not None and not run.reason
    end: Line = ((f"ETA {duration(run.eta_s)}", ""),) if goes_on else ((took, "dim"),)
    return spread(tuple(begin), end, width)


def waiting_lines(run: Run, width: int) -> list[Line]:
    """Why it has not begun, whole: the queue's row has no room for it in a small terminal."""
    waiting = waiting_for(run) if run.is_waiting else run.state
    return [((text, "dim"),) for text in wrap(waiting, width)] if waiting != run.state else []


def progress_line(run: Run, width: int) -> Line | None:
    """Bar, share, step x/y and rate."""
    if run.done is None:
        return None
    total = f"/{run.total:,}" if run.total else ""
    figure = f" {run.unit or 'step'} {run.done:,}{total}"
    if run.unit == "bytes":
        figure = f" {size_pair(run.done, run.total)}" if run.total else f" {size(run.done)}"
    if run.is_active:
        figure += f"  {rate(run.rate, run.unit)}"
    share = right(percent(run.fraction), 5) if run.total else ""
    room = width - len(figure) - len(share) - 1
    if room < 6:
        return ((share.strip(), "running"), (figure, ""))
    cells = min(room, 40)
    return ((bar(run.fraction, cells), "graph"), (share, "running" if run.is_active else ""), (figure, ""))


def memory_lines(view: RunView, width: int) -> list[Line]:
    """What it reserves and why, the most it was seen to hold, and how long it may run."""
    run, parts = view.run, []
    if run.peak_bytes:
        parts.append(f"peak {size(run.peak_bytes)}")
    if run.reserved_bytes:
        why = f" ({view.reserved_because})" if view.reserved_because else ""
        parts.append(f"reserved {size(run.reserved_bytes)}{why}")
    if view.max_seconds:
        parts.append(f"at most {duration(view.max_seconds)}")
    return [((text, "dim"),) for text in wrap("  ".join(parts), width, limit=2)] if parts else []


def environment_lines(view: RunView, width: int) -> list[Line]:
    """Where a model of old code runs, and which code of its own a person has agreed to."""
    model = view.spec.get("model") or {}
    if not model.get("environment"):
        return []
    code = model.get("remote_code")
    agreed = "no code of its own"
    if code:
        agreed = f"own code {str(code.get('digest'))[:12]}, agreed {str(code.get('agreed'))[:10]}"
    text = f"in {model['environment']}, {agreed}"
    return [(("env ", "dim"), (cut(text, max(width - 4, 0)), ""))]


def label_lines(run: Run, width: int) -> list[Line]:
    """Its tags and its note, as people wrote them."""
    lines: list[Line] = [((tag_text(run), "accent"),)] if run.tags else []
    return lines + [((text, ""),) for text in wrap(run.note, width, limit=3)] if run.note else lines


def other_metrics(view: RunView, width: int) -> Line | None:
    """The last values of what is not drawn."""
    said = "  ".join(f"{one.name} {number(one.last)}" for one in view.others)
    return ((cut(said, width), "dim"),) if said else None


def failure_lines(view: RunView, width: int, key: Callable[[str], str]) -> list[Line]:
    """What went wrong and what to do about it. ``key`` is how the key of a command is written."""
    run, failure = view.run, view.failure
    if run.state not in ("failed", "lost", "cancelled"):
        return []
    said = failure.message if failure else run.reason or f"it ended as {run.state}"
    token = "dim" if run.state == "cancelled" else "error"
    lines: list[Line] = [((text, token),) for text in wrap(said, width)]
    if failure and run.reason and run.reason not in said:
        lines += [((text, "dim"),) for text in wrap(run.reason, width, limit=2)]
    if view.last_words:
        lines.append((("its log ends with", "dim"),))
        lines += [((f"  {text}", ""),) for one in view.last_words for text in wrap(one, max(1, width - 2), limit=2)]
    if failure and failure.hint:
        lines += [((text, ""),) for text in wrap(f"→ {failure.hint}", width)]
    names = ["log", "retry", *(["resume"] if run.kind in ("eval", "finetune") else [])]
    lines.append(tuple(span for name in names for span in ((key(name), "key"), (f" {name}  ", "dim"))))
    return lines


def score_lines(scores: Sequence[Score], width: int) -> list[Line]:
    """Each overall score with its interval, floors, references and n; then its alarms."""
    lines: list[Line] = []
    for one in scores:
        token = "alarm" if one.alarms else "title"
        sign = "⚠ " if one.alarms else ""
        name = f"{one.metric} " if one.step is None or width < 60 else f"held-out {one.metric} "
        head: list[tuple[str, str]] = [(name, "dim"), (f"{sign}{measured(one.metric, one.value)}", token)]
        if span := interval(one.ci_low, one.ci_high):
            head.append((f" {span}", ""))
        when = f" at step {one.step:,}" if one.step is not None else " so far" if one.partial else ""
        asked = ", ".join([f"n {one.n:,}{when}", *one.unanswered])
        if sum(len(text) for text, _ in head) + len(asked) >= width:
            asked = asked.replace(when, "", 1)
        against = [f"{key} {score(value, 2)}" for key, value in one.floors.items()]
        beside = [f"{key} {score(value, 2)}" for key, value in one.references.items()]
        floors = ("  floor " + ", ".join(against) if against else "") + ("  ref " + ", ".join(beside) if beside else "")
        if sum(len(text) for text, _ in head) + len(floors) + len(asked) + 1 <= width:
            lines.append(spread((*head, (floors, "dim")), ((asked, "dim"),), width))
        else:
            lines.append(spread(tuple(head), ((asked, "dim"),), width))
            halves = [floors.strip()] if len(floors) < width else floors.strip().split("  ")
            cut_up = (line for text in halves if text for line in wrap(_figures(text), max(1, width - 2)))
            lines += [((f"  {line}", "dim"),) for line in cut_up]
    return lines


def _figures(text: str) -> list[str]:
    """What commas part, each with its own: a figure on the next line would stand without its name."""
    return re.split(r"(?<=,) ", text)


def alarm_lines(scores: Sequence[Score], width: int, limit: int) -> list[Line]:
    """Alarms once each, whichever metric they were raised on."""
    seen: dict[Alarm, None] = {alarm: None for one in scores for alarm in one.alarms}
    lines: list[Line] = []
    for alarm in list(seen)[:limit]:
        named = not alarm.question or alarm.text.startswith(alarm.question)
        where = "" if named else f" {alarm.question}"
        lines += [((text, "alarm"),) for text in wrap(f"⚠ {alarm.kind}{where}: {alarm.text}", width, limit=2)]
    if len(seen) > limit:
        lines.append(((f"⚠ and {count(len(seen) - limit, 'more alarm')}", "alarm"),))
    return lines


def answer_line(answer: Prediction, width: int) -> Line:
    """``✓ "Transthalamic plane"``, ``✗ "Femur" ≠ "Abdomen"`` or, where nobody knows what is right, ``· "Femur"``; the
    question where there is room.
    """
    if answer.error is not None:
        return (("! ", "error"), (cut(answer.error, width - 2), "error"))
    right_one = is_right(answer)
    question: Line = ()
    room = width - 2
    if width >= 70:
        question = ((left(answer.question, 24) + " ", "dim"),)
        room -= 25
    said = answer.prediction or "(empty)"
    if answer.reference is None:
        return (("· ", "dim"), *question, (cut(said, room), ""))
    sign = ("✓ ", "good") if right_one else ("✗ ", "bad")
    if right_one:
        return (sign, *question, (cut(said, room), ""))
    half = max(4, (room - 3) // 2)
    shown = cut(said, max(half, room - 3 - len(answer.reference)))
    return (sign, *question, (shown, ""), (" ≠ ", "dim"), (cut(answer.reference, room - 3 - len(shown)), "dim"))


def message_lines(messages: Sequence[Message], width: int, limit: int) -> list[Line]:
    """The newest messages, the newest last, each on two lines where one has no room for it."""
    lines: list[Line] = []
    for one in messages[-limit:]:
        sign, token = _LEVEL.get(one.level, ("·", "dim"))
        first, *more = wrap(one.text, max(1, width - 2), limit=2)
        lines.append(((f"{sign} ", token), (first, token)))
        lines += [(("  ", ""), (text, token)) for text in more]
    return lines


def breakdown_lines(scores: Sequence[Score], width: int, limit: int) -> list[Line]:
    """Scores by question and by category, where there is room for them."""
    metric = "exact" if any(one.metric == "exact" for one in scores) else scores[0].metric if scores else ""
    rows = [one for one in scores if one.metric == metric and (one.question is None) != (one.category is None)]
    if not rows:
        return []
    lines: list[Line] = [((f"{metric} by question and category", "dim"),)]
    for one in rows[:limit]:
        tail = f"{interval(one.ci_low, one.ci_high):>14}  floor {score(one.floor, 2):>4}  n {one.n:>5,}"
        mark = "⚠" if one.alarms else " "
        spans: Line = ((f"{score(one.value, 2)} {mark}", "alarm" if one.alarms else ""), (tail, "dim"))
        lines.append(spread(((f"  {one.of}", ""),), spans, min(width, 76)))
    return lines
