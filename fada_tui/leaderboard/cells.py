"""What stands in the cells of a leaderboard, the same on the screen and in every file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backends.leaderboard.entries import Board, Entry
from db.runs.rows import Alarm
from fada_tui.format import number

HEAD = ("rank", "model", "run", "value", "95 % interval", "n", "failed", "gain", "remarks")
_ROLES = {"floor": "floor: ", "reference": "reference: ", "published": "published: "}
_SHARES = ("gt", "proxy", "u2bench", "fetal-gauge", "zero-shot")
LEGEND = (
    "rank: where it lies, as its 95 % interval overlaps others; * by bootstrap in a comparison; ~ has no interval. "
    "gain: over the highest floor. Floors see no image; references are yardsticks."
)


@dataclass(frozen=True)
class Part:
    """Rows under a heading; ``said`` are lines that belong to the heading."""

    title: str
    said: tuple[str, ...]
    entries: tuple[Entry, ...]


def heading(board: Board) -> str:
    """``gt cosine, overall: 3 ranked, 1 not``."""
    counted = f"{board.ranked} ranked" + (f", {len(board.unranked)} not" if board.unranked else "")
    older = f", {board.older} older left out" if board.older else ""
    return f"{board.kind} {board.metric}, {board.of}: {counted}{older}"


def parts(board: Board) -> Iterator[Part]:
    """The groups, then what is not ranked, then what the note states."""
    for group in board.groups:
        said = tuple(f"not comparable with the first group: {text}" for text in group.differs)
        yield Part(group.title, said, group.entries)
    if board.unranked:
        yield Part("Not ranked", (), board.unranked)
    if board.stated:
        yield Part("Stated in the note, not ranked", (board.stated[0].why,), board.stated)


def name(entry: Entry) -> str:
    """The model, or what kind of yardstick it is."""
    return _ROLES.get(entry.role, "") + entry.name


def rank(entry: Entry) -> str:
    """``1``, ``2–4``, ``2–4*`` by bootstrap, ``~`` where there is no interval to tell it by."""
    if not entry.ranked:
        return "–" if entry.role in ("run", "document") else ""
    if entry.rank is None:
        return "~"
    return entry.rank.text + ("*" if entry.rank.compared is not None else "")


def value(board: Board, figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.3f}" if board.kind in _SHARES else number(figure)


def sign(entry: Entry) -> str:
    """What stands right behind the number: that there is an alarm, or that its source calls it approximate."""
    return "⚠" if entry.alarms else "~" if "about" in entry.notes else " "


def interval(board: Board, entry: Entry) -> str:
    """``[0.790, 0.833]``, or nothing where there is none."""
    if entry.low is None or entry.high is None:
        return ""
    return f"[{value(board, entry.low)}, {value(board, entry.high)}]"


def gain(entry: Entry) -> str:
    return "" if entry.gain is None else f"{entry.gain:+.3f}"


def alarms(entry: Entry) -> str:
    """``⚠ collapse Q3 Q7 ⚠ duplicate``: every kind of alarm, and the questions that it is of."""
    kinds: dict[str, list[str]] = {}
    for one in entry.alarms:
        kinds.setdefault(one.kind, []).append(one.question or "")
    return " ".join(
        " ".join([f"⚠ {kind}", *dict.fromkeys(question for question in questions if question)])
        for kind, questions in kinds.items()
    )


def remarks(entry: Entry) -> str:
    """Alarms first, then why it is not ranked, then notes."""
    why = entry.why if entry.role == "run" else ""
    return "; ".join(part for part in (alarms(entry), why, *entry.notes) if part)


def cells(board: Board, entry: Entry) -> tuple[str, ...]:
    """Of one row, as in :data:`HEAD`."""
    return (
        rank(entry),
        name(entry),
        f"#{entry.run}" if entry.run is not None else "",
        f"{value(board, entry.value)} {sign(entry)}".rstrip(),
        interval(board, entry),
        "" if not entry.n else str(entry.n),
        "" if entry.failed is None else str(entry.failed),
        gain(entry),
        remarks(entry),
    )


def alarm_texts(board: Board) -> list[tuple[Entry, Alarm]]:
    """Every alarm in full, with the run that it is of."""
    return [(entry, alarm) for part in parts(board) for entry in part.entries for alarm in entry.alarms]
