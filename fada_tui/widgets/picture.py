"""An image in half-cell blocks: the upper pixel is the foreground of ▀, the lower one the background."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from fada_tui.sources.pictures import Picture
from fada_tui.text import printable
from fada_tui.widgets.fold import fold
from fada_tui.widgets.line import cut
from fada_tui.widgets.palettes import Palette
from fada_tui.widgets.theme import palette_of, style, under

UPPER = "▀"


class PictureView(Widget):
    """Shows one picture in its middle. Lines that are as they were are not drawn again."""

    ALLOW_SELECT = False
    auto_links = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.picture: Picture | None = None
        self._lines: list[Strip] = []
        self._drawn_for: Palette | None = None
        self._titles = ("", "")

    def show(self, picture: Picture | None) -> None:
        """Show a picture, or nothing while it is on its way."""
        if picture == self.picture and picture is not None:
            return
        self.picture = picture
        self._rebuild()

    def set_title(self, title: str, subtitle: str = "") -> None:
        if (title, subtitle) != self._titles:
            self._titles = (title, subtitle)
            room = max(0, self.size.width - 4)
            self.border_title, self.border_subtitle = Content(cut(title, room)), Content(cut(subtitle, room))

    def on_resize(self) -> None:
        self._titles = ("", "")
        self._rebuild()

    def _rebuild(self) -> None:
        size = self.content_size
        self._drawn_for = palette_of(self.app)
        old, self._lines = self._lines, self._strips(size.width, size.height, self._drawn_for)
        if len(old) != len(self._lines):
            self.refresh()
            return
        changed = [y for y, (before, now) in enumerate(zip(old, self._lines, strict=True)) if before != now]
        if changed:
            self.refresh(*(Region(0, y, size.width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        palette = palette_of(self.app)
        if palette is not self._drawn_for:
            size = self.content_size
            self._lines, self._drawn_for = self._strips(size.width, size.height, palette), palette
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, under(palette))

    def _strips(self, width: int, height: int, palette: Palette) -> list[Strip]:
        picture, ground = self.picture, under(palette)
        if picture is None or width <= 0 or height <= 0:
            return [Strip.blank(width, ground)] * height
        if picture.trouble:
            return _words(picture.trouble, width, height, palette)
        rows = half_cells(picture, palette.background)
        top, left = max(0, (height - len(rows)) // 2), max(0, (width - picture.width) // 2)
        strips = [Strip.blank(width, ground)] * height
        margin = [Segment(" " * left, ground)] if left else []
        for y, row in enumerate(rows[:height]):
            strips[top + y] = Strip([*margin, *row]).adjust_cell_length(width, ground)
        return strips


def half_cells(picture: Picture, background: str) -> list[list[Segment]]:
    """The rows of cells; equal neighbours are one segment. ``background`` is below a last row of half a cell."""
    line = 3 * picture.width
    rows = []
    for start in range(0, len(picture.pixels), 2 * line):
        upper = picture.pixels[start : start + line]
        lower = picture.pixels[start + line : start + 2 * line]
        pairs = [(upper[at : at + 3], lower[at : at + 3]) for at in range(0, line, 3)]
        rows.append([_segment(*pair, sum(1 for _ in same), background) for pair, same in groupby(pairs)])
    return rows


def _segment(upper: bytes, lower: bytes, count: int, background: str) -> Segment:
    return Segment((" " if upper == lower else UPPER) * count, _style(upper, lower, background))


@lru_cache(maxsize=1 << 14)
def _style(upper: bytes, lower: bytes, background: str) -> Style:
    below = Color.from_rgb(*lower) if lower else Color.parse(background)
    # A cell of one colour needs no foreground.
    return Style(color=None if upper == lower else Color.from_rgb(*upper), bgcolor=below)


def _words(text: str, width: int, height: int, palette: Palette) -> list[Strip]:
    ground = under(palette)
    lines = list(fold(text, max(1, width - 2)))[:height]
    top = max(0, (height - len(lines)) // 2)
    strips = [Strip.blank(width, ground)] * height
    for y, line in enumerate(lines):
        margin = " " * max(0, (width - cell_len(line)) // 2)
        segments = [Segment(margin, ground), Segment(printable(line), ground + style(palette, "alarm"))]
        strips[top + y] = Strip(segments).adjust_cell_length(width, ground)
    return strips
