"""One line of the merged note after the other: a table row by its cells, a check box by its mark, the rest whole."""

from __future__ import annotations

from db.tracker.merging.align import Alignment
from db.tracker.merging.columns import Columns, merge_cell, value
from db.tracker.merging.lines import Box, Row, Text
from db.tracker.merging.mergetables import OURS, THEIRS, Place, Tables
from db.tracker.merging.settle import Conflict, Settling, Side, short, shown

_SIDES: tuple[tuple[int, Side], ...] = ((OURS, "ours"), (THEIRS, "theirs"))
_AROUND_NUMBER = " \t>[.)-*+"


class LineMerger:
    """Appends to ``lines`` and ``ends``; ``at`` is the line of ours that conflicts are told at."""

    def __init__(self, texts: tuple[Text, Text, Text], alignments: tuple[Alignment, Alignment], settling: Settling):
        self.texts = texts
        self.base, self.ours, self.theirs = texts
        self.to_ours, self.to_theirs = alignments
        self.settling = settling
        self.lines: list[str] = []
        self.ends: list[str] = []
        self.at = 0
        self.tables = Tables(texts, alignments, settling)
        self._laid_out: dict[Side, int] = {"ours": 0, "theirs": 0}

    def both(self, base: int | None, ours: int, theirs: int, mover: Side | None = None) -> None:
        """A line that both sides have; ``mover`` put it where it comes now."""
        self.at = ours
        mine, other = self.ours.lines[ours], self.theirs.lines[theirs]
        text = mine if mine == other else self._merged(Place(base, ours, theirs), mover)
        end = self.ours.ends[ours]
        if base is not None:
            end = _atom(self.base.ends[base], end, self.theirs.ends[theirs])
        self._put(text, end)

    def moved(self, base: int, ours: int | None, theirs: int | None, mover: Side) -> None:
        """A line that one side moved here: with the other's changes, or gone where the other took it out."""
        if ours is None or theirs is None:
            self.deleted(base, ours, theirs)
            return
        if not (base in self.to_ours.moved and base in self.to_theirs.moved):
            self.settling.words(mover).append(f"{self._name(self.base, base)}: moved")
        self.both(base, ours, theirs, mover)

    def deleted(self, base: int, ours: int | None, theirs: int | None) -> None:
        """A line that a side took out: it goes, unless the other changed it."""
        if ours is None and theirs is None:
            return
        side, at, by = (self.theirs, theirs, "ours") if ours is None else (self.ours, ours, "theirs")
        assert at is not None
        if ours is not None:
            self.at = ours
        name = self._name(self.base, base)
        if _values(self.base, base) == _values(side, at):
            if self.base.lines[base].strip():
                self.settling.words("ours" if ours is None else "theirs").append(f"{name}: gone")
            return
        texts = ("", side.lines[at]) if ours is None else (side.lines[at], "")
        what = name if self.base.is_body_row(base) else "line"
        if self.settling.settle(Conflict(self.at + 1, *texts, self.base.lines[base], what)) != by:
            self.verbatim(side, at)

    def new(self, side: Side, at: int) -> None:
        """A line that one side put in, with the columns that its table has now."""
        text = self.ours if side == "ours" else self.theirs
        if text.lines[at].strip() and (text.headers[at] < 0 or text.headers[at] != at - 1):
            self.settling.words(side).append(f"{self._name(text, at)}: added")
        self._put(self._widened(side, text, at), text.ends[at])

    def verbatim(self, text: Text, at: int) -> None:
        self._put(text.lines[at], text.ends[at])

    def finish(self) -> None:
        """Say how many lines a side only laid out anew."""
        for side, count in self._laid_out.items():
            if count:
                self.settling.words(side).append(f"the layout of {count} line{'s' * (count != 1)}")

    def _put(self, text: str, end: str) -> None:
        if not text and end == "\n" and self.ends and self.ends[-1] == "\r":
            # Together the two would be one line end, and the blank line lost.
            end = "\r"
        self.lines.append(text)
        self.ends.append(end)

    def _merged(self, place: Place, mover: Side | None) -> str:
        kinds = [text.headers[at] >= 0 for text, at in self._versions(place)]
        if all(kinds):
            table = self._table(place, mover)
            if not self._is_lost(place, table):
                return self._row(place, table)
        elif place.base is not None and not any(kinds):
            boxes = [text.box(at) for text, at in self._versions(place)]
            if len(boxes) == 3 and None not in boxes:
                return self._box(place, *(box for box in boxes if box is not None))
        return self._whole(place)

    def _versions(self, place: Place) -> list[tuple[Text, int]]:
        return [(text, at) for text, at in zip(self.texts, place, strict=True) if at is not None]

    def _whole(self, place: Place) -> str:
        mine, other = self.ours.lines[place.ours or 0], self.theirs.lines[place.theirs or 0]
        was = "" if place.base is None else self.base.lines[place.base]
        if was in (mine, other):
            side: Side = "ours" if was == other else "theirs"
            now = mine if was == other else other
            self.settling.words(side).append(f"{short(was)} → {short(now)}")
            return now
        name = self._name(self.ours, place.ours or 0) if self.ours.is_body_row(place.ours or 0) else "line"
        chosen = self.settling.settle(Conflict(self.at + 1, mine, other, was, name))
        return mine if chosen == "ours" else other

    def _box(self, place: Place, was: Box, mine: Box, other: Box) -> str:
        if mine.rest != other.rest and was.rest not in (mine.rest, other.rest):
            return self._whole(place)
        item = f"item {was.lead.strip(_AROUND_NUMBER)}"
        for words, box in ((self.settling.goes, mine), (self.settling.comes, other)):
            if box.is_done != was.is_done and mine.is_done != other.is_done:
                words.append(f"{item} {'done' if box.is_done else 'not done'}: {short(was.rest[1:])}")
            if box.rest != was.rest and mine.rest != other.rest:
                words.append(f"{item}: {short(was.rest[1:])} → {short(box.rest[1:])}")
        return Box(*(_atom(*pieces) for pieces in zip(was, mine, other, strict=True))).text()

    def _table(self, place: Place, mover: Side | None) -> Place:
        """The table that a row lands in: that of the side which put it there, else the one it has always stood in."""
        assert place.ours is not None
        assert place.theirs is not None
        ours = self.tables.table_of("ours", self.ours.headers[place.ours])
        theirs = self.tables.table_of("theirs", self.theirs.headers[place.theirs])
        home = None if place.base is None else self.base.headers[place.base]
        return theirs if mover == "theirs" or (mover is None and ours.base == home != theirs.base) else ours

    def _is_lost(self, place: Place, table: Place) -> bool:
        """True where one side changed a cell, and the table that the other moved the row to has no such column."""
        for version in (OURS, THEIRS):
            at = place[version]
            if at is None or place.base is None or self.texts[version].headers[at] == table[version]:
                continue
            labels = set(self.tables.columns(table).labels)
            was, now = self.tables.by_label(0, place.base), self.tables.by_label(version, at)
            if any(label not in labels and value(raw) != value(was.get(label)) for label, raw in now.items()):
                return True
        return False

    def _row(self, place: Place, table: Place) -> str:
        columns = self.tables.columns(table)
        whole = self._of_one_side(place, table, columns)
        if whole is not None and place.base is not None and _is_same_text(whole, self.base.lines[place.base]):
            self._count_layout(place, table)
            return whole
        versions = [self.tables.cells(version, at, table, columns) for version, at in enumerate(place)]
        width = max(map(len, versions))
        raws = list(zip(*(cells + [None] * (width - len(cells)) for cells in versions), strict=True))
        said = self.settling.said()
        merged: list[str | None] = []
        for index, (was, mine, other) in enumerate(raws):
            column = columns.places[index] if index < len(columns.places) else (index, index, index)
            # A column that only this version lacks is kept for the other's sake.
            if column[0] is not None:
                mine = was if column[OURS] is None else mine
                other = was if column[THEIRS] is None else other
            label = columns.labels[index] if index < len(columns.labels) else f"cell {index + 1}"
            merged.append(self._cell(place, label, was, mine, other))
        if self.settling.said() == said and place.base is not None:
            self._count_layout(place, table)
        return whole if whole is not None else self._composed(place, merged)

    def _cell(self, place: Place, label: str, was: str | None, mine: str | None, other: str | None) -> str | None:
        if was is None and mine is None and other is None:
            return None
        cell = merge_cell(was, mine, other)
        if cell is None:
            name = f"{self._what(place)}: {label}"
            texts = [(raw or "").strip() for raw in (mine, other, was)]
            chosen = self.settling.settle(Conflict(self.at + 1, texts[0], texts[1], texts[2], name))
            return (mine if chosen == "ours" else other) or " "
        if value(mine) != value(other):
            side: Side = "ours" if value(other) == value(was) else "theirs"
            now = shown(mine if side == "ours" else other)
            if self.ours.is_body_row(place.ours or 0):
                self.settling.words(side).append(f"{self._what(place)}: {label} {shown(was)} → {now}")
            elif was is not None and self.ours.headers[place.ours or 0] == place.ours:
                self.settling.words(side).append(f"column {shown(was)}: now {now}")
        return cell

    def _count_layout(self, place: Place, table: Place) -> None:
        """Of a line in which no word changed: who laid it out anew, unless for a new column."""
        was = self.base.lines[place.base or 0]
        for version, side in _SIDES:
            at = place[version]
            if at is not None and self.texts[version].lines[at] != was:
                self._laid_out[side] += self.tables.labels(table, version) == self.tables.labels(table, 0)

    def _of_one_side(self, place: Place, table: Place, columns: Columns) -> str | None:
        """The line of the one side that changed it, where it fits the merged columns as it is."""
        if place.base is None:
            return None
        was = self.base.lines[place.base]
        for version, other in ((THEIRS, OURS), (OURS, THEIRS)):
            at, beside = place[version], place[other]
            assert at is not None
            assert beside is not None
            width = len(self.tables.labels(table, version))
            if self.texts[other].lines[beside] == was and columns.is_layout_of(version, width):
                return self.texts[version].lines[at]
        return None

    def _composed(self, place: Place, cells: list[str | None]) -> str:
        rows = [text.row(at) for text, at in self._versions(place)]
        was, mine, other = rows if len(rows) == 3 else (rows[0], *rows)
        return _joined(_atom(was.lead, mine.lead, other.lead), cells, _atom(was.tail, mine.tail, other.tail))

    def _widened(self, side: Side, text: Text, at: int) -> str:
        header = text.headers[at]
        if not text.is_body_row(at):
            return text.lines[at]
        table = self.tables.table_of(side, header)
        if None in table:
            return text.lines[at]
        columns = self.tables.columns(table)
        version = OURS if side == "ours" else THEIRS
        if columns.is_layout_of(version, len(text.labels(header))):
            return text.lines[at]
        row = text.row(at)
        cells: list[str | None] = [
            " " if raw is None else raw for raw in self.tables.cells(version, at, table, columns)
        ]
        return _joined(row.lead, cells, row.tail)

    def _what(self, place: Place) -> str:
        assert place.ours is not None
        if self.ours.is_body_row(place.ours):
            return self._name(self.base, place.base) if place.base is not None else self._name(self.ours, place.ours)
        return "heading" if self.ours.headers[place.ours] == place.ours else "alignment"

    def _name(self, text: Text, at: int) -> str:
        if text.is_body_row(at):
            return text.name(at) or "a row without a name"
        return short(text.lines[at])


def _atom(was: str, mine: str, other: str) -> str:
    """A piece that holds no words: where both sides changed it, either will do."""
    if mine == was or other == was:
        return other if mine == was else mine
    return max(mine, other)


def _values(text: Text, at: int) -> object:
    return [value(cell) for cell in text.row(at).cells] if text.headers[at] >= 0 else text.lines[at]


def _is_same_text(line: str, other: str) -> bool:
    """True for two table lines that differ in padding only."""
    return [cell.strip() for cell in line.split("|")] == [cell.strip() for cell in other.split("|")]


def _joined(lead: str, raws: list[str | None], tail: str) -> str:
    while raws and raws[-1] is None:
        raws.pop()
    cells = tuple(" " if raw is None else raw for raw in raws)
    if not tail and cells and not cells[-1].strip():
        # Without a pipe behind it an empty last cell would not be a cell at all.
        tail = "|"
    return Row(lead, cells, tail).text()
