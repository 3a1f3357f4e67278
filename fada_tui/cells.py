"""Only what changed goes over the wire: the last frame is kept as cells, and an update becomes those that differ.

Textual sends the whole region of a widget that was refreshed, each stretch of it with its full style. Here an update
(a list of strips with their places) is laid over the last frame, and what is the same already is left out. What the
terminal shows afterwards is the same; tests/fada_tui/test_cells.py replays both through a terminal emulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.cells import split_graphemes
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Size
from textual.strip import Strip

_KEPT_PENS = 8192
_SEEN_ON_BLANKS = {"4", "7", "9", "21", "51", "52", "53"}
"""Underlined, reversed, struck through …: with these the colour of a blank is seen."""
_ATTRIBUTES = (
    ("bold", "1"), ("dim", "2"), ("italic", "3"), ("underline", "4"), ("blink", "5"), ("blink2", "6"), ("reverse", "7"),
    ("conceal", "8"), ("strike", "9"), ("underline2", "21"), ("frame", "51"), ("encircle", "52"), ("overline", "53"),
)  # fmt: skip


class Pen(NamedTuple):
    """How a cell is written: parameters of SGR, and of OSC 8 for a link. ``foreground`` None: any, it is not seen."""

    attributes: str = ""
    foreground: str | None = ""
    background: str = ""
    link: str = ""


Cell = tuple[str, Pen]
"""What stands there; empty for the right half of a wide character."""
_PLAIN = Pen()


def wants_diff(config: Path) -> bool:
    """``[panel] diff`` of config.toml: so unless it says ``false``."""
    with suppress(OSError, ValueError, AttributeError):
        text = config.read_text(encoding="utf-8")
        import tomllib

        return tomllib.loads(text).get("panel", {}).get("diff") is not False
    return True


class CellUpdate(CompositorUpdate):
    """An update as the painter writes it: what Textual is handed in the place of its own."""

    def __init__(self, update: CompositorUpdate, painter: Painter, size: Size, console: Console) -> None:
        self._text = painter.paint(update, size, console)

    @property
    def is_empty(self) -> bool:
        """Nothing has changed."""
        return not self._text

    def render_segments(self, console: Console) -> str:
        return self._text


class Painter:
    """Keeps what the terminal shows. :meth:`forget` where something else may have written to it."""

    def __init__(self) -> None:
        self._size = Size(0, 0)
        self._rows: list[list[Cell | None]] = []
        self._pens: dict[Style, tuple[Pen, Pen]] = {}
        self._colours: ColorSystem | None = None

    def forget(self) -> None:
        """Nothing is known of the terminal any more: what is painted next is written whole."""
        self._rows = [[None] * self._size.width for _ in range(self._size.height)]

    def paint(self, update: CompositorUpdate, size: Size, console: Console) -> str:
        """What makes the terminal show an update.

        Args:
            size: The terminal's; where it is another than before, the frame is forgotten.
        """
        colours = COLOR_SYSTEMS[console.color_system or "truecolor"]
        if size != self._size or colours != self._colours:
            self._size, self._colours = size, colours
            self._pens.clear()
            self.forget()
        if not isinstance(update, LayoutUpdate | ChopsUpdate):
            self.forget()
            return update.render_segments(console)
        writer = _Writer()
        for y, x, strip in _placed(update):
            if not (0 <= y < size.height and 0 <= x < size.width):
                continue
            cells = self._cells(strip)
            if cells is None:
                # Controls, such as a picture of pixels: nobody knows what they do to which cells.
                writer.verbatim(y, x, strip.render(console))
                self._rows[y][x : x + strip.cell_length] = [None] * len(self._rows[y][x : x + strip.cell_length])
            else:
                _write_changes(writer, self._rows[y], y, x, cells[: size.width - x])
        return writer.finish()

    def _cells(self, strip: Strip) -> list[Cell] | None:
        """One a column; None where there are controls in the strip."""
        cells: list[Cell] = []
        for text, style, control in strip:
            if control:
                return None
            pen, blank = (_PLAIN, _PLAIN._replace(foreground=None)) if style is None else self._pen(style)
            if text.isascii():
                cells += [(" ", blank) if sign == " " else (sign, pen) for sign in text]
                continue
            for start, end, width in split_graphemes(text)[0]:
                grapheme = text[start:end]
                if width == 0:
                    if cells:
                        cells[-1] = (cells[-1][0] + grapheme, cells[-1][1])
                    continue
                cells.append((grapheme, blank if grapheme == " " else pen))
                cells += [("", pen)] * (width - 1)
        return cells

    def _pen(self, style: Style) -> tuple[Pen, Pen]:
        """For what is seen, and for blanks."""
        found = self._pens.get(style)
        if found is None:
            if len(self._pens) >= _KEPT_PENS:
                self._pens.clear()
            pen = _pen_of(style, self._colours or ColorSystem.TRUECOLOR)
            hidden = not pen.link and not _SEEN_ON_BLANKS & set(pen.attributes.split(";"))
            found = self._pens[style] = pen, pen._replace(foreground=None) if hidden else pen
        return found


def _pen_of(style: Style, colours: ColorSystem) -> Pen:
    attributes = ";".join(code for name, code in _ATTRIBUTES if getattr(style, name))
    foreground = background = ""
    if style.color is not None:
        foreground = ";".join(style.color.downgrade(colours).get_ansi_codes())
    if style.bgcolor is not None:
        background = ";".join(style.bgcolor.downgrade(colours).get_ansi_codes(foreground=False))
    # The numbers that Rich gives to links differ each time; a terminal joins what stands together by its address.
    return Pen(attributes, foreground, background, style.link or "")


def _placed(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Each strip that Textual would write, and the row and column where it begins."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length
        return
    for y, first, last in update.spans:
        for end, (x, found) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if found is None or x > last or end <= first:
                continue
            yield y, x, found if end <= last and x >= first else found.crop(0, min(end, last) - x)


def _write_changes(writer: _Writer, row: list[Cell | None], y: int, x: int, cells: Sequence[Cell]) -> None:
    """Write those cells of a strip that are not as they stand in the row, and keep them there."""
    for start, end in _runs(row, x, cells):
        writer.write(y, x + start, cells[start:end])
        row[x + start : x + end] = cells[start:end]


def _runs(row: Sequence[Cell | None], x: int, cells: Sequence[Cell]) -> Iterator[tuple[int, int]]:
    """Stretches of cells to be written. What lies between two of them is written along where that is shorter."""
    if list(row[x : x + len(cells)]) == list(cells):
        return
    start: int | None = None
    end = 0
    for at, cell in enumerate(cells):
        doubtful = at > 0 and at == end and _is_doubtful(cells[at - 1])
        if row[x + at] == cell and not doubtful:
            continue
        if start is not None and not _is_shorter(cells[end:at], cells[end - 1]):
            yield start, end
            start = None
        if start is None:
            start = at
            while start and not cells[start][0]:
                start -= 1  # both halves of a wide character
        end = at + 1
        while end < len(cells) and not cells[end][0]:
            end += 1
    if start is not None:
        yield start, end


def _is_doubtful(cell: Cell) -> bool:
    """Whether terminals may not agree on its width: what follows is then placed and written anew."""
    return not cell[0] or len(cell[0]) > 1


def _is_shorter(between: Sequence[Cell], before: Cell) -> bool:
    """Whether writing these cells is no longer than going to the column behind them, about six bytes."""
    if len(between) > 6:
        return False
    same = all(pen == before[1] or (not text.strip(" ") and _like(pen, before[1])) for text, pen in between)
    return same and sum(len(text.encode()) for text, _ in between) <= 6


def _like(blank: Pen, pen: Pen) -> bool:
    return blank.foreground is None and blank._replace(foreground=pen.foreground) == pen


class _Writer:
    """Knows where the cursor stands and what pen it has. Begins and ends with the plain pen."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._at: tuple[int, int] | None = None
        self._pen = _PLAIN

    def write(self, y: int, x: int, cells: Iterable[Cell]) -> None:
        self._go(y, x)
        for text, pen in cells:
            if text:
                if self._at is None:
                    self._go(y, x)
                self._take(pen)
                self._out.append(text)
                # After what terminals may measure otherwise the place is said again.
                self._at = (y, x + 1) if len(text) == 1 else None
            else:
                self._at = None
            x += 1

    def verbatim(self, y: int, x: int, text: str) -> None:
        """Something that brings its own styles and may leave the cursor anywhere."""
        self._take(_PLAIN)
        self._go(y, x)
        self._out.append(text)
        self._at = None

    def finish(self) -> str:
        self._take(_PLAIN)
        return "".join(self._out)

    def _go(self, y: int, x: int) -> None:
        if self._at == (y, x):
            return
        same_row = self._at is not None and self._at[0] == y
        self._out.append(f"\x1b[{x + 1}G" if same_row else f"\x1b[{y + 1};{x + 1}H")
        self._at = (y, x)

    def _take(self, pen: Pen) -> None:
        """Say only what is not so already."""
        old = self._pen
        if pen == old:
            return
        if pen.foreground is None:
            kept = not old.attributes or pen.attributes == old.attributes
            pen = pen._replace(foreground=old.foreground if kept else "")
        codes: list[str] = []
        if pen.attributes != old.attributes:
            if old.attributes:
                codes.append("0")
                old = old._replace(attributes="", foreground="", background="")
            codes += [pen.attributes] if pen.attributes else []
        if pen.foreground != old.foreground:
            codes.append(pen.foreground or "39")
        if pen.background != old.background:
            codes.append(pen.background or "49")
        if codes:
            self._out.append(f"\x1b[{'' if pen[:3] == _PLAIN[:3] else ';'.join(codes)}m")
        if pen.link != old.link:
            self._out.append(f"\x1b]8;;{pen.link}\x1b\\")
        self._pen = pen
