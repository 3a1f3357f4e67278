"""The list that every pane is: one Strip a row, a cursor, and only the changed cells are drawn again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fada_tui.text import printable
from fada_tui.widgets.line import Line, Row, Rows, changed_columns, plain, strip_of
from fada_tui.widgets.theme import palette_of, style, under

_KEPT = 500
"""Lines that are remembered as drawn before those out of sight are forgotten."""


class LineView(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows from :meth:`build`, which a subclass writes. A row with a key can be chosen.

    With no row that can be chosen the arrows scroll. The keys are those of its screen: Textual's own would scroll
    where they should move the cursor.
    """

    ALLOW_SELECT = False
    auto_links = False
    DEFAULT_CSS = """
    LineView { overflow-y: auto; overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """

    @dataclass
    class Chosen(Message):
        """The cursor came to stand on a row (``by_user`` false where the data moved it)."""

        view: LineView
        key: str

        @property
        def control(self) -> LineView:
            return self.view

    @dataclass
    class Opened(Message):
        """A row was clicked once more while the cursor stood on it."""

        view: LineView
        key: str

        @property
        def control(self) -> LineView:
            return self.view

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows = Rows()
        self._drawn: dict[int, Line] = {}
        """What stands on the screen, by the row's index: of those in sight, and some that were."""
        self.cursor: int | None = None
        self._title = ""
        self._subtitle = ""
        self._width = 0
        self._labels: Mapping[str, str] = {}

    def build(self, width: int, height: int) -> Sequence[Row]:
        """The rows for a content area of ``width`` × ``height`` cells; :class:`Rows` where they are very many."""
        raise NotImplementedError

    # Drawing

    def rebuild(self) -> None:
        """Build the rows again and draw those cells that are not as they were."""
        width, height = self.scrollable_content_region.width, self.content_size.height
        if width <= 0 or height <= 0 or not self.is_attached:
            return
        old, old_cursor = self.rows, self.cursor
        self.rows = _as_rows(self.build(width, height))
        self._keep_cursor(old, old_cursor)
        if len(old) != len(self.rows) or width != self._width:
            self._width = width
            self.virtual_size = Size(width, len(self.rows))
            self.refresh()
            self.call_after_refresh(self.reveal)
            return
        for index in self._in_sight():
            before = self._drawn.get(index)
            columns = (0, width) if before is None else changed_columns(before, self.rows.row(index).line)
            if columns:
                self._refresh_cells(index, *columns)
        self._moved(old_cursor)
        if self.cursor != old_cursor:
            self.call_after_refresh(self.reveal)

    def _in_sight(self) -> range:
        top = self.scroll_offset.y
        return range(top, min(len(self.rows), top + self.size.height))

    def _refresh_cells(self, index: int, start: int, end: int) -> None:
        y = index - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(start, y, end - start, 1))

    def _keep_cursor(self, old: Rows, old_cursor: int | None) -> None:
        """On the row it was on, wherever that is now; where it is gone, on the nearest that can be chosen."""
        key = old.key(old_cursor) if old_cursor is not None and old_cursor < len(old) else None
        found = None if key is None else self.rows.find(key, old_cursor)
        self.cursor = self._nearest(self.first_row() if old_cursor is None else old_cursor) if found is None else found

    def _nearest(self, near: int) -> int | None:
        """The row that can be chosen nearest to an index, of two the upper."""
        last = len(self.rows) - 1
        near = max(0, min(near, last))
        for distance in range(last + 1):
            for index in (near - distance, near + distance):
                if 0 <= index <= last and self.rows.key(index) is not None:
                    return index
        return None

    def first_row(self) -> int:
        """Where the cursor stands at first."""
        return 0

    def _moved(self, old_cursor: int | None) -> None:
        for index in {old_cursor, self.cursor} if old_cursor != self.cursor else ():
            if index is not None:
                self._refresh_cells(index, 0, self.size.width)

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if index >= len(self.rows):
            return Strip.blank(width, under(palette_of(self.app)))
        place = ("cursor_focus" if self.has_focus else "cursor") if index == self.cursor else "background"
        row = self.rows.row(index)
        line = row.line
        if len(self._drawn) > _KEPT:
            self._drawn = {place: self._drawn[place] for place in self._in_sight() if place in self._drawn}
        self._drawn[index] = line
        strip = strip_of(line, width, palette_of(self.app), place)
        letter = self._labels.get(row.key) if row.key and self._labels else None
        return strip if letter is None else self._labelled(strip, letter)

    def _labelled(self, strip: Strip, letter: str) -> Strip:
        palette = palette_of(self.app)
        label = Strip([Segment(letter, under(palette) + style(palette, "jump"))])
        return Strip.join([label, strip.crop(1)])

    def set_title(self, title: str, subtitle: str = "") -> None:
        """Title and subtitle in the border: plain text; the pane is drawn again only when one changed."""
        if title != self._title:
            self._title = title
            self.border_title = Content(printable(title))
        if subtitle != self._subtitle:
            self._subtitle = subtitle
            self.border_subtitle = Content(printable(subtitle))

    @property
    def title(self) -> str:
        return self._title

    # The cursor

    @property
    def key(self) -> str | None:
        """The key of the row under the cursor."""
        return self.rows.key(self.cursor) if self.cursor is not None and self.cursor < len(self.rows) else None

    def choose(self, key: str) -> bool:
        """Put the cursor on a row; False where there is none with that key."""
        found = self.rows.find(key, self.cursor)
        if found is None:
            return False
        self._go(found, tell=False)
        return True

    def go_to(self, key: str) -> None:
        """The same, told as if the user had gone there."""
        found = self.rows.find(key, self.cursor)
        if found is not None:
            self._go(found, tell=True)

    def keys_in_sight(self) -> list[str]:
        """Those of the rows on the screen that can be chosen, from the top."""
        keys = (self.rows.key(index) for index in self._in_sight())
        return [key for key in keys if key is not None]

    def label(self, labels: Mapping[str, str]) -> None:
        """Show a letter in front of rows, by their keys; none of them takes the letters away."""
        if labels != self._labels:
            self._labels = labels
            self.refresh()

    def text(self, width: int) -> str:
        """The chosen row as a view of ``width`` cells would show it, or all rows where none can be chosen."""
        rows = _as_rows(self.build(width, self.size.height))
        key = self.key
        found = None if key is None else rows.find(key, self.cursor)
        return plain(rows if found is None else [rows.row(found)])

    def move(self, steps: int) -> None:
        """Move the cursor over the rows that can be chosen, or scroll where there are none."""
        if self.cursor is None:
            self.scroll_relative(y=steps, animate=False)
            return
        step, left = (1 if steps > 0 else -1), abs(steps)
        index = target = self.cursor
        while left and 0 <= (index := index + step) < len(self.rows):
            if self.rows.key(index) is not None:
                target, left = index, left - 1
        self._come_to(target)

    def _come_to(self, target: int) -> None:
        self._go(target, tell=True)
        if target == self._nearest(0):
            self.scroll_to(y=0, animate=False, force=True)

    def page(self, direction: int) -> None:
        self.move(direction * max(1, self.size.height - 1))

    def edge(self, direction: int) -> None:
        """To the first (-1) or the last (1) row."""
        target = self._nearest(0 if direction < 0 else len(self.rows) - 1)
        if target is None:
            self.move(direction * max(1, len(self.rows)))
        else:
            self._come_to(target)

    def _go(self, index: int, *, tell: bool) -> None:
        old, self.cursor = self.cursor, index
        self._moved(old)
        self.reveal()
        key = self.rows.key(index)
        if tell and key is not None and old != index:
            self.post_message(self.Chosen(self, key))

    def reveal(self) -> None:
        """Scroll as little as brings the cursor into sight."""
        index, top, height = self.cursor, self.scroll_offset.y, self.size.height
        if index is not None and (index < top or index >= top + height):
            self.scroll_to(y=index if index < top else index - height + 1, animate=False, force=True)

    # Events

    def on_resize(self) -> None:
        self.rebuild()
        if self.cursor is not None and self.rows:
            self._go(min(self.cursor, len(self.rows) - 1), tell=False)

    def on_focus(self) -> None:
        self._draw_cursor()

    def on_blur(self) -> None:
        self._draw_cursor()

    def _draw_cursor(self) -> None:
        if self.cursor is not None:
            self._refresh_cells(self.cursor, 0, self.size.width)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        index = None if offset is None else offset.y + self.scroll_offset.y
        if index is None or index >= len(self.rows):
            return
        key = self.rows.key(index)
        if key is None:
            return
        if index == self.cursor:
            self.post_message(self.Opened(self, key))
        else:
            self._go(index, tell=True)


def _as_rows(rows: Sequence[Row]) -> Rows:
    return rows if isinstance(rows, Rows) else Rows(rows)
