"""The leaderboard as lines of the screen: the alarm stands right behind the number, whatever the width."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len

from backends.leaderboard.entries import Board, Entry
from fada_tui.leaderboard import cells
from fada_tui.text import printable
from fada_tui.widgets.line import Line, Row, cut, wrap

_GAP = "  "
_LEAST_NAME = 14
_LEAST_REMARKS = 12
_TOKENS = {"run": "", "floor": "proxy", "reference": "dim", "published": "dim", "document": "dim"}
_DROPPED = ("failed", "n", "gain", "interval", "run")
"""Columns that go first where there is no room; the row's own line below the list has them all."""


class _Widths:
    """How wide each column is on a screen of ``width`` cells."""

    def __init__(self, texts: Sequence[Mapping[str, str]], width: int) -> None:
        self.of = {
            head: max([_width(head, row[head]) for row in texts] + [len(head)])
            for head in cells.HEAD
            if head != "remarks"
        }
        self.columns = ["rank", "model", "run", "value", "95 % interval", "n", "failed", "gain"]
        names = self.of["model"]
        for name in (None, *_DROPPED):
            dropped = "95 % interval" if name == "interval" else name
            if dropped in self.columns:
                self.columns.remove(dropped)
            room = width - self._fixed()
            if room >= min(names, 24):
                break
        self.of["model"] = max(min(names, room, max(24, width // 4)), min(_LEAST_NAME, max(1, room)))
        left = room - self.of["model"] - len(_GAP)
        self.remarks = left if left >= _LEAST_REMARKS else 0

    def _fixed(self) -> int:
        """Cells of everything but the name; two for the mark, two for the alarm."""
        others = [self.of[name] for name in self.columns if name != "model"]
        return sum(others) + len(_GAP) * len(others) + 4


def _texts(board: Board, entry: Entry) -> dict[str, str]:
    """The cells by their heads; the value without its sign, which is drawn in a column of its own."""
    texts = dict(zip(cells.HEAD, cells.cells(board, entry), strict=True))
    return texts | {"value": cells.value(board, entry.value)}


def board_rows(board: Board, width: int, marked: Collection[int]) -> tuple[list[Row], Mapping[str, Entry]]:
    """The rows, and the entry of each row that can be chosen, by its key."""
    parts = list(cells.parts(board))
    texts = [[_texts(board, entry) for entry in part.entries] for part in parts]
    widths = _Widths([one for of_part in texts for one in of_part], width)
    rows: list[Row] = [Row(_head(widths))]
    found: dict[str, Entry] = {}
    for at, part in enumerate(parts):
        rows.append(Row(()))
        rows.append(Row(((cut(part.title, width), "title"),)))
        rows += [Row(((text, "alarm"),)) for said in part.said[:-1] for text in wrap(said, width)]
        rows += [Row(((text, "dim"),)) for said in part.said[-1:] for text in wrap(said, width)]
        for entry, shown in zip(part.entries, texts[at], strict=True):
            key = f"{at}/{entry.key}"
            found[key] = entry
            rows.append(Row(_line(entry, shown, widths, entry.run in marked), key))
    rows += [Row(()), *(Row(((text, "dim"),)) for text in wrap(cells.LEGEND, width, limit=6))]
    return rows, found


def _head(widths: _Widths) -> Line:
    parts = [_fit(name, name, widths.of[name]) for name in widths.columns]
    at = widths.columns.index("value") + 1
    parts[at - 1] += "  "
    return (("  " + _GAP.join(parts), "dim"),)


_RIGHT = ("rank", "run", "value", "n", "failed", "gain")


def _line(entry: Entry, shown: Mapping[str, str], widths: _Widths, marked: bool) -> Line:
    token = _TOKENS[entry.role]
    line: list[tuple[str, str]] = [("◆ " if marked else "  ", "key")]
    for name in widths.columns:
        text = _fit(name, shown[name], widths.of[name])
        if name == "value":
            alarmed = bool(entry.alarms)
            line += [(text, "alarm" if alarmed else token), (f" {cells.sign(entry)}", "alarm" if alarmed else "dim")]
        else:
            line.append((text, _token(name, entry, token)))
        line.append((_GAP, ""))
    if not (widths.remarks and shown["remarks"]):
        return tuple(line[:-1])
    return (*line, (cut(shown["remarks"], widths.remarks), "alarm" if entry.alarms else "dim"))


def _token(name: str, entry: Entry, token: str) -> str:
    if name == "gain" and entry.gain is not None:
        return "good" if entry.gain > 0 else "bad"
    if name == "rank" and entry.ranked:
        return "accent"
    return "dim" if name in ("95 % interval", "n", "failed") else token


def _width(name: str, text: str) -> int:
    """Cells of a text. All but names are of our own making: a cell a character."""
    return cell_len(printable(text)) if name == "model" else len(text)


def _fit(name: str, text: str, width: int) -> str:
    short = cut(text, width) if name == "model" else text
    space = " " * (width - _width(name, short))
    return space + short if name in _RIGHT else short + space


def detail(board: Board, entry: Entry | None) -> list[str]:
    """Everything of the row under the cursor, in full: what a narrow screen had no room for, and its alarms."""
    if entry is None:
        return []
    figure = f"{cells.value(board, entry.value)} {cells.interval(board, entry)}".strip()
    parts = [f"{cells.name(entry)}{f' (#{entry.run})' if entry.run is not None else ''}: {figure}"]
    if entry.n:
        told = "" if entry.answered is None else f", {entry.answered} answered, {entry.failed} failed"
        parts.append(f"{entry.n} asked{told}")
    if entry.gain is not None:
        parts.append(f"{cells.gain(entry)} over the highest floor")
    if entry.ranked:
        parts.append(_rank_words(entry))
    parts += [note for note in entry.notes if note]
    first = " · ".join(parts)
    said = [f"not ranked: {entry.why}"] if entry.why else []
    return [first, *said, *(f"⚠ {alarm.kind}: {alarm.text}" for alarm in entry.alarms)]


def _rank_words(entry: Entry) -> str:
    if entry.rank is None:
        return "no rank: it has no interval"
    how = (
        f"by bootstrap over images in comparison #{entry.rank.compared}"
        if entry.rank.compared is not None
        else "by its interval"
    )
    return f"rank {entry.rank.text} {how}"
