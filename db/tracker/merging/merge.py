"""A note that two hands changed, merged against what they last agreed on: bytes in, bytes out, nothing else touched.

Lines are merged as diff3 does (Khanna, Kunal, Pierce 2007), but a table row and a check box by their parts, and rows
and list items each for itself: what one hand does to a row does not get in the way of the row below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from db.tracker.merging.align import Alignment, align
from db.tracker.merging.lines import Text, unique_keys
from db.tracker.merging.mergelines import LineMerger
from db.tracker.merging.settle import Choices, Conflict, Merged, Settling, Side

__all__ = ["Choices", "Conflict", "Merged", "Side", "merge"]


def merge(base: bytes, ours: bytes, theirs: bytes, choices: Choices = None) -> Merged:
    """Merge what ``ours`` and ``theirs`` made of ``base``.

    Line ends, byte order mark and the last line's end are merged like the text. A row that one side moved takes the
    other side's changes along.
    """
    settling = Settling(choices)
    texts = (Text.read(base), Text.read(ours), Text.read(theirs))
    data = _Merger(*texts, settling).merged()
    if ours in (base, theirs):
        data = theirs
    elif theirs == base:
        data = ours
    return Merged(data, tuple(settling.conflicts), tuple(settling.comes), tuple(settling.goes))


class _Merger:
    """Walks the base from one line that both sides still have in place to the next."""

    def __init__(self, base: Text, ours: Text, theirs: Text, settling: Settling) -> None:
        self.base, self.ours, self.theirs = base, ours, theirs
        self.settling = settling
        _convert_ends(base, ours, theirs, settling)
        self.to_ours, self.to_theirs = align(base, ours), align(base, theirs)
        self.twins = _twins(ours, self.to_ours, theirs, self.to_theirs)
        self.twinned = {at: twin for twin, at in self.twins.items()}
        self.put = LineMerger((base, ours, theirs), (self.to_ours, self.to_theirs), settling)

    def merged(self) -> bytes:
        a = c = e = 0
        moved = self.to_ours.moved | self.to_theirs.moved
        for at, (place, other) in enumerate(zip(self.to_ours.places, self.to_theirs.places, strict=True)):
            if place is not None and other is not None and at not in moved:
                self._region(range(a, at), range(c, place), range(e, other))
                self.put.both(at, place, other)
                a, c, e = at + 1, place + 1, other + 1
        self._region(range(a, len(self.base.lines)), range(c, len(self.ours.lines)), range(e, len(self.theirs.lines)))
        self.put.finish()
        ending = [text.is_closed for text in (self.base, self.ours, self.theirs)]
        mark = [text.has_bom for text in (self.base, self.ours, self.theirs)]
        for what, (was, mine, other) in (("an end of the last line", ending), ("a byte order mark", mark)):
            for words, now in ((self.settling.goes, mine), (self.settling.comes, other)):
                if now != was and mine != other:
                    words.append(f"{what}: {'yes' if now else 'no'}")
        return Text(self.put.lines, self.put.ends, _flag(mark), _flag(ending)).encode()

    def _region(self, base: range, ours: range, theirs: range) -> None:
        """Lines of which no one is in place on both sides."""
        self.put.at = ours.start
        if not (base or theirs):
            for at in ours:
                self._put_ours(at)
            return
        if self._clash(base, ours, theirs):
            self._whole(base, ours, theirs)
            return
        mine = _by_gap(base, ours, self.to_ours)
        other = _by_gap(base, theirs, self.to_theirs)
        for at in (*base, base.stop):
            self._insert(mine.get(at, []), other.get(at, []))
            if at < base.stop:
                self._single(at)

    def _clash(self, base: range, ours: range, theirs: range) -> bool:
        """True where both sides rewrote the same text, so that taking both would make nonsense of it."""
        if [self.ours.lines[at] for at in ours] == [self.theirs.lines[at] for at in theirs]:
            return False
        gone, lost = _gone(base, self.to_ours), _gone(base, self.to_theirs)
        new, added = _new(ours, self.to_ours), _new(theirs, self.to_theirs)
        changed = any(self._is_changed(at, self.to_ours, self.ours) for at in base)
        altered = any(self._is_changed(at, self.to_theirs, self.theirs) for at in base)
        if not (gone or lost) or not (gone or new or changed) or not (lost or added or altered):
            return False
        if set(gone) & set(lost) and new and added:
            return True
        return not (
            _all_alone(self.base, {*gone, *lost}) and _all_alone(self.ours, new) and _all_alone(self.theirs, added)
        )

    def _is_changed(self, at: int, alignment: Alignment, side: Text) -> bool:
        place = alignment.places[at]
        return place is not None and at not in alignment.moved and side.lines[place] != self.base.lines[at]

    def _whole(self, base: range, ours: range, theirs: range) -> None:
        """One conflict over all that is here; rows that moved in, or that both sides added, stand outside of it."""
        moved = self.to_ours.moved | self.to_theirs.moved
        mine = [at for at in ours if at not in self.twins and self.to_ours.sources[at] not in moved]
        other = [at for at in theirs if at not in self.twinned and self.to_theirs.sources[at] not in moved]
        texts = _texts(self.ours, mine), _texts(self.theirs, other), _texts(self.base, base)
        if texts[0] == texts[1]:
            # Nothing on one side and a blank line on the other.
            chosen: Side = "ours" if mine else "theirs"
        else:
            chosen = self.settling.settle(Conflict(ours.start + 1, *texts, "line"))
        kept, taken = set(mine), set(other)
        for at in ours:
            if at in kept and chosen == "ours":
                self.put.verbatim(self.ours, at)
            elif at in self.twins or self.to_ours.sources[at] in self.to_ours.moved:
                self._put_ours(at)
        for at in theirs:
            if at in taken and chosen == "theirs":
                self.put.verbatim(self.theirs, at)
            elif self.to_theirs.sources[at] in self.to_theirs.moved:
                self._put_theirs(at)

    def _insert(self, ours: list[int], theirs: list[int]) -> None:
        """What each side put between the same two lines of the base."""
        theirs = [at for at in theirs if not self._stands_with_ours(at)]
        plain = [at for at in theirs if self.to_theirs.sources[at] is None]
        mine = [at for at in ours if self.to_ours.sources[at] is None and at not in self.twins]
        if [self.ours.lines[at] for at in mine] == [self.theirs.lines[at] for at in plain]:
            # Both put the same here: once will do, and it is nobody's news.
            theirs = [at for at in theirs if self.to_theirs.sources[at] is not None]
            known = set(mine) if plain else set()
            for at in ours:
                if at in known:
                    self.put.verbatim(self.ours, at)
                else:
                    self._put_ours(at)
            for at in theirs:
                self._put_theirs(at)
            return
        rows, rest = _leading(self.ours, ours)
        others, after = _leading(self.theirs, theirs)
        if rest and after:
            self._whole(range(0), _span(ours), _span(theirs))
            return
        for at in rows:
            self._put_ours(at)
        for at in others:
            self._put_theirs(at)
        for at in rest:
            self._put_ours(at)
        for at in after:
            self._put_theirs(at)

    def _put_ours(self, at: int) -> None:
        source = self.to_ours.sources[at]
        if source is not None:
            self.put.moved(source, at, self.to_theirs.places[source], "ours")
        elif at in self.twins:
            self.put.both(None, at, self.twins[at])
        else:
            self.put.new("ours", at)

    def _put_theirs(self, at: int) -> None:
        source = self.to_theirs.sources[at]
        if self._stands_with_ours(at):
            return
        if source is None:
            self.put.new("theirs", at)
        else:
            self.put.moved(source, self.to_ours.places[source], at, "theirs")

    def _stands_with_ours(self, at: int) -> bool:
        """True for a line of theirs that ours moved or added too: it is merged where ours has it."""
        source = self.to_theirs.sources[at]
        return at in self.twinned if source is None else source in self.to_ours.moved

    def _single(self, at: int) -> None:
        """A line of the base that at least one side has no longer in this place."""
        if at in self.to_ours.moved or at in self.to_theirs.moved:
            return
        self.put.deleted(at, self.to_ours.places[at], self.to_theirs.places[at])


def _flag(values: Sequence[bool]) -> bool:
    base, ours, theirs = values
    return theirs if ours == base else ours


def _convert_ends(base: Text, ours: Text, theirs: Text, settling: Settling) -> None:
    """Where one side converted all line ends, the other's lines, the new ones too, are converted with it."""
    kinds = [set(text.ends) for text in (base, ours, theirs)]
    if any(len(kind) != 1 for kind in kinds) or kinds[0] not in kinds[1:]:
        return
    for side, other, words in ((ours, theirs, settling.goes), (theirs, ours, settling.comes)):
        if set(side.ends) != kinds[0]:
            for text in (base, other):
                text.ends = [side.ends[0]] * len(text.ends)
            words.append(f"line ends: {side.ends[0].encode('unicode_escape').decode()}")
            return


def _twins(ours: Text, to_ours: Alignment, theirs: Text, to_theirs: Alignment) -> dict[int, int]:
    """Rows of the same name that both sides added to the same table: lines of ours and theirs."""
    new = [at for at, source in enumerate(to_ours.sources) if source is None and ours.is_body_row(at)]
    if not new:
        return {}
    added = [at for at, source in enumerate(to_theirs.sources) if source is None and theirs.is_body_row(at)]
    theirs_by_key = unique_keys([theirs.key(at) for at in added])
    twins = {}
    for key, index in unique_keys([ours.key(at) for at in new]).items():
        if key in theirs_by_key:
            at, twin = new[index], added[theirs_by_key[key]]
            table, other = to_ours.sources[ours.headers[at]], to_theirs.sources[theirs.headers[twin]]
            if table is not None and table == other:
                twins[at] = twin
    return twins


def _by_gap(base: range, side: range, alignment: Alignment) -> dict[int, list[int]]:
    """A side's lines that are new here, by the line of the base that they stand before."""
    gaps: dict[int, list[int]] = {}
    gap = base.start
    for at in side:
        source = alignment.sources[at]
        if source is not None and source not in alignment.moved:
            gap = source + 1
        else:
            gaps.setdefault(gap, []).append(at)
    return gaps


def _gone(base: range, alignment: Alignment) -> list[int]:
    return [at for at in base if alignment.places[at] is None]


def _new(side: range, alignment: Alignment) -> list[int]:
    return [at for at in side if alignment.sources[at] is None]


def _all_alone(text: Text, places: Iterable[int]) -> bool:
    return all(text.stands_alone(at) or not text.lines[at].strip() for at in places)


def _leading(text: Text, places: list[int]) -> tuple[list[int], list[int]]:
    """The rows and list items that come first, and what follows them."""
    count = next((index for index, at in enumerate(places) if not text.stands_alone(at)), len(places))
    return places[:count], places[count:]


def _texts(text: Text, places: Iterable[int]) -> str:
    return "\n".join(text.lines[at] for at in places)


def _span(places: list[int]) -> range:
    return range(places[0], places[-1] + 1)
