"""What a sync would do, as rows: from data to lines, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from db.tracker.merging.merge import Conflict, Side
from db.tracker.sync import SyncPlan
from fada_tui.format import count
from fada_tui.widgets.line import Line, Row, spread, wrap

_LINES = 6
"""So many lines of one side of a conflict are shown."""
_SIDES: tuple[tuple[Side, str], ...] = (("ours", "ours, in the panel  "), ("theirs", "theirs, in the file "))


def conflict_key(index: int) -> str:
    return f"conflict:{index}"


def conflict_of(key: str | None) -> int | None:
    """The index of the conflict whose row has this key."""
    return int(key.removeprefix("conflict:")) if key and key.startswith("conflict:") else None


def plan_rows(plan: SyncPlan, chosen: Mapping[int, Side], width: int) -> list[Row]:
    """Conflicts first, for they have to be settled; then what comes in and what goes out."""
    rows: list[Row] = []
    if plan.conflicts:
        rows += _head(f"{count(len(plan.conflicts), 'conflict')}: both sides changed the same")
        for index, conflict in enumerate(plan.conflicts):
            rows += _conflict(index, conflict, chosen.get(index), width)
    if plan.creates:
        rows += [*_head("The file is not there"), Row((("  enter writes the note into a new one", ""),))]
    if plan.incoming:
        rows += _listed("in", "Comes in from the file", plan.incoming, "← ", width)
    if plan.outgoing and not plan.creates:
        rows += _listed("out", "Goes out to the file", plan.outgoing, "→ ", width)
    if not rows:
        return [Row((("The note and the file say the same: there is nothing to do.", "dim"),))]
    return rows[1:]


def _head(title: str) -> list[Row]:
    return [Row(()), Row(((title, "title"),))]


def _listed(kind: str, title: str, texts: Sequence[str], sign: str, width: int) -> list[Row]:
    rows = _head(f"{title}: {count(len(texts), 'change')}")
    for index, text in enumerate(texts):
        for part, line in enumerate(wrap(text, max(10, width - 4), limit=_LINES)):
            begin = (f"  {sign}", "accent") if part == 0 else ("    ", "")
            rows.append(Row((begin, (line, "")), f"{kind}:{index}" if part == 0 else None))
    return rows


def _conflict(index: int, conflict: Conflict, side: Side | None, width: int) -> list[Row]:
    what = conflict.what if conflict.what != "line" else "a line of text"
    sign: Line = (("  ✓ ", "good"),) if side else (("  ? ", "alarm"),)
    head = spread((*sign, (what, "")), ((f"line {conflict.line}", "dim"),), width)
    rows = [Row(head, conflict_key(index))]
    for name, label in _SIDES:
        token = "accent" if side == name else "dim" if side else ""
        rows += _text(f"{'●' if side == name else '○'} {label}", getattr(conflict, name), token, width)
    return [*rows, *_text("  both had before     ", conflict.base, "dim", width)]


def _text(label: str, text: str, token: str, width: int) -> list[Row]:
    begin = f"      {label} "
    lines = wrap(text or "(nothing)", max(10, width - len(begin)), limit=_LINES)
    return [Row(((" " * len(begin) if part else begin, "dim"), (line, token))) for part, line in enumerate(lines)]
