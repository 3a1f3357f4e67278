"""The lines of a log window: matches shown, long lines moved sideways, the line on top kept while more comes in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message

from fada_tui.screens.full import FullView
from fada_tui.sources.logfile import LogLine
from fada_tui.sources.logreader import Window
from fada_tui.sources.logsearch import Needle
from fada_tui.widgets.line import Line, Row, Rows

STEP = 20
"""Characters that one key goes sideways."""


class LogRows(Rows):
    """Rows that are made when they come in sight. None can be chosen."""

    def __init__(self, lines: Sequence[LogLine], needle: Needle, current: int | None, left: int) -> None:
        super().__init__()
        self._lines = lines
        self._needle = needle
        self._current = current
        self._left = left

    def __len__(self) -> int:
        return len(self._lines)

    def row(self, index: int) -> Row:
        return Row(self._line(self._lines[index]))

    def key(self, index: int) -> str | None:
        return None

    def _line(self, line: LogLine) -> Line:
        text = line.text
        if not self._needle.text:
            return ((text[self._left :], ""),)
        here = line.start == self._current
        token = "alarm" if here else "key"
        spans: list[tuple[str, str]] = [("❯ " if here else "  ", "key")]
        at = self._left
        for start, end in self._needle.places(text):
            if end > at:
                spans += [(text[at : max(at, start)], ""), (text[max(at, start) : end], token)]
                at = end
        return (*spans, (text[at:], ""))


class LogView(FullView):
    """Shows a window; what is in sight stays there when the window grows or slides."""

    @dataclass
    class Scrolled(Message):
        """Other lines are in sight now."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window()
        self.needle = Needle("")
        self.current: int | None = None
        """Where the line begins that was found."""
        self._left = 0
        self._goal: int | None = None
        """The byte whose line comes on top with the next refresh."""
        self._end_from: int | None = None
        """The byte that was on top when the end was to come in sight with the next refresh."""

    def say(self, text: str) -> None:
        """A sentence in place of a log."""
        self.show([Row(((text, "dim"),))])

    def take(self, window: Window) -> None:
        """Show a window: its end where it follows, its target, or what was in sight before."""
        was, top = self.window, self.top_offset if self._goal is None else self._goal
        self.window = window
        self.rebuild()
        if window.target is not None:
            self._show_line(window.target)
        elif window.following:
            self._goal, self._end_from = None, top if top < window.end else 0  # a log may begin anew
            self.call_after_refresh(self._arrive_at_end)
        elif was.lines and self._index(top) != self.scroll_offset.y:
            self._go_to(top)

    def mark(self, needle: Needle, current: int | None) -> None:
        """Show the matches, and which of them it is about."""
        self.needle, self.current = needle, current
        self.rebuild()

    def sideways(self, direction: int) -> None:
        self._left = max(0, self._left + direction * STEP)
        self.rebuild()

    def build(self, width: int, height: int) -> Sequence[Row]:
        if not self.window.lines:
            return self.make
        return LogRows(self.window.lines, self.needle, self.current, self._left)

    def _show_line(self, offset: int) -> None:
        """A third down from the top, and as far sideways as its first match needs."""
        index = self._index(offset)
        places = self.needle.places(self.window.lines[index].text) if self.current == offset else []
        if places:
            start, end = places[0]
            room = self.size.width - 3
            left = 0 if end <= room else max(0, start - room // 2)
            if not self._left <= start <= end <= self._left + room:
                self._left = left
                self.rebuild()
        y = max(0, index - self.size.height // 3) if self.current == offset else index
        self._go_to(self._offset(y))

    def _go_to(self, offset: int) -> None:
        """To the line of a byte, once the window it is in has its height."""
        self._goal, self._end_from = offset, None
        self.call_after_refresh(self._arrive)

    def _arrive(self) -> None:
        if self._goal is not None:
            y, self._goal = self._index(self._goal), None
            self.scroll_to(y=y, animate=False, force=True, immediate=True)
            self.post_message(self.Scrolled())

    def _arrive_at_end(self) -> None:
        """Unless somebody has gone up, or elsewhere, meanwhile."""
        if self._end_from is None:
            return
        gone_up, self._end_from = self.top_offset < self._end_from, None
        if not gone_up:
            self.scroll_end(animate=False, force=True, immediate=True)
        self.post_message(self.Scrolled())

    def _index(self, offset: int) -> int:
        """The line that holds a byte."""
        return max(0, bisect_right(self.window.lines, offset, key=lambda line: line.start) - 1)

    # What is in sight

    @property
    def on_the_way(self) -> bool:
        """Whether what is in sight is about to change, so that nothing should be made of it."""
        return self._goal is not None or self._end_from is not None

    @property
    def at_end(self) -> bool:
        return self.scroll_offset.y >= self.max_scroll_y

    @property
    def lines_below(self) -> int:
        """How many lines of the window are under those in sight."""
        return self.max_scroll_y - self.scroll_offset.y

    @property
    def top_offset(self) -> int:
        """Where the uppermost line in sight begins."""
        return self._offset(self.scroll_offset.y)

    @property
    def bottom_offset(self) -> int:
        """Where the lowest line in sight begins."""
        return self._offset(self.scroll_offset.y + self.size.height - 1)

    def _offset(self, index: int) -> int:
        lines = self.window.lines
        return lines[max(0, min(index, len(lines) - 1))].start if lines else 0

    def in_sight(self) -> list[str]:
        top = self.scroll_offset.y
        return [line.text for line in self.window.lines[top : top + self.size.height]]

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        self.post_message(self.Scrolled())

    def _nearest(self, near: int) -> int | None:
        return None
