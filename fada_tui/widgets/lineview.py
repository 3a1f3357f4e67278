"""The list that every pane is: one Strip a row, a cursor, and only the changed cells are drawn again."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fada_tui.text import printable
from fada_tui.widgets.line import Row, changed_columns, strip_of
from fada_tui.widgets.theme import BACKGROUND, CURSOR, CURSOR_FOCUS


class LineView(ScrollView, can_focus=True):
    """Rows from :meth:`build`, which a subclass writes. A row with a key can be chosen.

    With no row that can be chosen the arrows scroll.
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
        self.rows: list[Row] = []
        self.cursor: int | None = None
        self._title = ""
        self._subtitle = ""
        self._width = 0

    def build(self, width: int, height: int) -> list[Row]:
        """The rows for a content area of ``width`` × ``height`` cells."""
        raise NotImplementedError

    # Drawing

    def rebuild(self) -> None:
        """Build the rows again and draw those cells that are not as they were."""
        width, height = self.scrollable_content_region.width, self.content_size.height
        if width <= 0 or height <= 0 or not self.is_attached:
            return
        old, old_cursor = self.rows, self.cursor
        self.rows = self.build(width, height)
        self._keep_cursor(old, old_cursor)
        if len(old) != len(self.rows) or width != self._width:
            self._width = width
            self.virtual_size = Size(width, len(self.rows))
            self.refresh()
            self.call_after_refresh(self.reveal)
            return
        for index, (before, after) in enumerate(zip(old, self.rows, strict=True)):
            columns = changed_columns(before.line, after.line)
            if columns:
                self._refresh_cells(index, *columns)
        self._moved(old_cursor)

    def _refresh_cells(self, index: int, start: int, end: int) -> None:
        y = index - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(start, y, end - start, 1))

    def _keep_cursor(self, old: list[Row], old_cursor: int | None) -> None:
        key = old[old_cursor].key if old_cursor is not None and old_cursor < len(old) else None
        places = {row.key: index for index, row in enumerate(self.rows) if row.key is not None}
        if key in places:
            self.cursor = places[key]
        elif not places:
            self.cursor = None
        else:
            near = self.first_row() if old_cursor is None else old_cursor
            self.cursor = min(places.values(), key=lambda index: (abs(index - near), index))

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
            return Strip.blank(width, Style(bgcolor=BACKGROUND))
        at_cursor = index == self.cursor
        colour = (CURSOR_FOCUS if self.has_focus else CURSOR) if at_cursor else BACKGROUND
        return strip_of(self.rows[index].line, width, Style(bgcolor=colour))

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
        return self.rows[self.cursor].key if self.cursor is not None and self.cursor < len(self.rows) else None

    def choose(self, key: str) -> bool:
        """Put the cursor on a row; False where there is none with that key."""
        for index, row in enumerate(self.rows):
            if row.key == key:
                self._go(index, tell=False)
                return True
        return False

    def move(self, steps: int) -> None:
        """Move the cursor over the rows that can be chosen, or scroll where there are none."""
        places = [index for index, row in enumerate(self.rows) if row.key is not None]
        if not places:
            self.scroll_relative(y=steps, animate=False)
            return
        here = places.index(self.cursor) if self.cursor in places else 0
        target = min(len(places) - 1, max(0, here + steps))
        self._go(places[target], tell=True)
        if target == 0:
            self.scroll_to(y=0, animate=False, force=True)

    def page(self, direction: int) -> None:
        self.move(direction * max(1, self.size.height - 1))

    def edge(self, direction: int) -> None:
        """To the first (-1) or the last (1) row."""
        self.move(direction * max(1, len(self.rows)))

    def _go(self, index: int, *, tell: bool) -> None:
        old, self.cursor = self.cursor, index
        self._moved(old)
        self.reveal()
        key = self.rows[index].key
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
        key = self.rows[index].key
        if key is None:
            return
        if index == self.cursor:
            self.post_message(self.Opened(self, key))
        else:
            self._go(index, tell=True)
