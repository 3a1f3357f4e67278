"""Only the cells that changed are sent: what the terminal then shows is what it shows when Textual sends everything.

Both streams of the same session are replayed through a terminal emulator, and the screens are compared after each update.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region, Size
from textual.strip import Strip

from fada_tui.cells import Painter, wants_diff
from fada_tui.screens.toosmall import MINIMUM
from tests.fada_tui import panel

pyte = pytest.importorskip("pyte", reason="pyte is missing: `pip install pyte`")
CONSOLE = Console(color_system="truecolor", force_terminal=True, legacy_windows=False)
_LINK = re.compile(r"\x1b]8;[^;]*;([^\x1b]*)\x1b\\")


class Seen(NamedTuple):
    """A cell as a person sees it: the colour of a blank is not seen."""

    text: str
    look: tuple[Any, ...]


class Emulator:
    """A terminal, with the one thing that pyte leaves out: links."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.Stream(self.screen)
        self.links: dict[tuple[int, int], str] = {}
        self._link = ""

    def feed(self, text: str) -> None:
        at = 0
        for found in _LINK.finditer(text):
            self._feed(text[at : found.start()])
            self._link, at = found[1], found.end()
        self._feed(text[at:])

    def _feed(self, text: str) -> None:
        for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z])", text):
            if part.startswith("\x1b"):
                self.stream.feed(part)
                continue
            for sign in part:
                before = self.screen.cursor.x
                if unicodedata.combining(sign) and before == self.screen.columns:
                    self._combine(sign)
                    continue
                self.stream.feed(sign)
                for column in range(before, self.screen.cursor.x):
                    self.links[self.screen.cursor.y, column] = self._link

    def _combine(self, sign: str) -> None:
        """In the last column, where pyte would begin a new line."""
        line, last = self.screen.buffer[self.screen.cursor.y], self.screen.columns - 1
        line[last] = line[last]._replace(data=unicodedata.normalize("NFC", line[last].data + sign))

    def seen(self) -> list[list[Seen]]:
        screen = self.screen
        return [[self._cell(y, x, screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]

    def _cell(self, y: int, x: int, cell: Any) -> Seen:
        marked = cell.underscore or cell.reverse or cell.strikethrough
        foreground = cell.fg if cell.data.strip() or marked else None
        attributes = (cell.bold, cell.italics) if cell.data.strip() else ()
        link = self.links.get((y, x), "")
        return Seen(cell.data, (foreground, cell.bg, *attributes, marked, link))


@dataclass
class Twins:
    """The same updates for two terminals: everything, and only what changed."""

    size: Size
    whole: Emulator = field(init=False)
    diffed: Emulator = field(init=False)
    painter: Painter = field(default_factory=Painter)
    bytes: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """The terminals were cleared or made anew, as after a resize."""
        self.whole, self.diffed = (Emulator(*self.size) for _ in range(2))

    def show(self, update: CompositorUpdate, console: Console = CONSOLE) -> None:
        both = update.render_segments(console), self.painter.paint(update, self.size, console)
        for at, (terminal, text) in enumerate(zip((self.whole, self.diffed), both, strict=True)):
            self.bytes[at] += len(text.encode())
            terminal.feed(text)

    def compare(self) -> None:
        for y, (whole, diffed) in enumerate(zip(self.whole.seen(), self.diffed.seen(), strict=True)):
            assert diffed == whole, f"row {y}"


WORDS = ("loss", "0.412", " ", "   ", "漢字", "한", "e\u0301a\u0302", "████", "⠉⠑⠢⢄⣀", "─╮", "x", "Qwen3-VL-8B", "🙂")
COLOURS = (None, "red", "#102030", "#fafafa", "bright_blue", "color(208)")


def strip_of(dice: random.Random, width: int, colours: Sequence[str | None] = COLOURS) -> Strip:
    segments, left = [], width
    while left > 0:
        style = Style(
            color=dice.choice(colours),
            bgcolor=dice.choice(colours),
            bold=dice.choice((None, None, True)),
            italic=dice.choice((None, None, True)),
            underline=dice.choice((None, None, None, True)),
            reverse=dice.choice((None, None, None, True)),
            link=dice.choice((None, None, None, "https://example.org/a", "https://example.org/b")),
            meta={"offset": (dice.randrange(9), 0)},
        )
        segment = Segment(dice.choice(WORDS), dice.choice((style, style, None)))
        if segment.cell_length > left:
            segment = Segment("." * left, style)
        segments.append(segment)
        left -= segment.cell_length
    return Strip(segments)


def updates(
    dice: random.Random, size: Size, number: int, colours: Sequence[str | None] = COLOURS
) -> Iterator[CompositorUpdate]:
    """As Textual makes them: the whole screen, or stretches of lines cut into pieces."""
    lines = [strip_of(dice, size.width, colours) for _ in range(size.height)]
    yield LayoutUpdate([[line] for line in lines], Region(0, 0, *size))
    for _ in range(number):
        for _ in range(dice.randrange(1, 4)):
            y = dice.randrange(size.height)
            # Much stays as it is: that is what must not be sent, and not be forgotten either.
            cut = dice.randrange(size.width)
            lines[y] = Strip.join([lines[y].crop(0, cut), strip_of(dice, size.width - cut, colours)])
        if dice.random() < 0.1:
            yield LayoutUpdate([[line] for line in lines], Region(0, 0, *size))
            continue
        cuts = sorted({dice.randrange(1, size.width) for _ in range(3)} | {size.width})
        chops: list[dict[int, Strip | None]] = []
        for line in lines:
            pieces = line.divide(cuts)
            chops.append(dict(zip([0, *cuts], pieces, strict=False)))
        spans = []
        for y in sorted(dice.sample(range(size.height), dice.randrange(1, size.height))):
            first = dice.randrange(size.width)
            spans.append((y, first, dice.randrange(first + 1, size.width + 1)))
        yield ChopsUpdate(chops, spans, [cuts] * size.height)


@pytest.mark.parametrize("seed", range(20))
def test_random_updates_show_the_same(seed: int) -> None:
    dice = random.Random(seed)
    twins = Twins(Size(dice.randrange(20, 60), dice.randrange(4, 12)))
    for update in updates(dice, twins.size, 40):
        twins.show(update)
        twins.compare()
    assert twins.bytes[1] < twins.bytes[0]


@pytest.mark.parametrize("depth", ["standard", "256"])
def test_fewer_colours_show_the_same(depth: Any) -> None:
    console = Console(color_system=depth, force_terminal=True, legacy_windows=False)
    twins, dice = Twins(Size(40, 6)), random.Random(depth)
    # Colours of their own: Textual keeps how it has written a style once, at whatever depth.
    colours = [None, *(f"#{dice.randrange(1 << 24):06x}" for _ in range(5))]
    for update in updates(dice, twins.size, 20, colours):
        twins.show(update, console)
        twins.compare()


def test_what_is_the_same_already_is_not_sent() -> None:
    twins = Twins(Size(40, 6))
    update = next(updates(random.Random(1), twins.size, 1))
    assert twins.painter.paint(update, twins.size, CONSOLE)
    assert twins.painter.paint(update, twins.size, CONSOLE) == ""
    twins.painter.forget()
    assert twins.painter.paint(update, twins.size, CONSOLE)


def line(text: str) -> LayoutUpdate:
    return LayoutUpdate([[Strip([Segment(text.ljust(20))])]], Region(0, 0, 20, 1))


def test_one_cell_costs_the_way_there_and_itself() -> None:
    painter, size = Painter(), Size(20, 1)
    painter.paint(line("loss 0.412"), size, CONSOLE)
    assert painter.paint(line("loss 0.413"), size, CONSOLE) == "\x1b[1;10H3"


def test_after_a_sign_of_doubtful_width_the_place_is_said_again() -> None:
    """Terminals measure joined signs otherwise than Textual: what follows must not be moved by it."""
    painter, size = Painter(), Size(20, 1)
    painter.paint(line("plain"), size, CONSOLE)
    family = "\U0001f469\u200d\U0001f467"
    text = LayoutUpdate([[Strip([Segment(family + "abc".ljust(18))])]], Region(0, 0, 20, 1))
    assert f"{family}\x1b[1;3Habc" in painter.paint(text, size, CONSOLE)


def test_half_of_a_wide_sign_is_never_left() -> None:
    twins = Twins(Size(20, 1))
    for text in ("ab漢字", "a漢字b", "漢ab字", "xxxx", "x漢xx"):
        twins.show(LayoutUpdate([[Strip([Segment(text)]).adjust_cell_length(20)]], Region(0, 0, 20, 1)))
        twins.compare()


def test_another_size_and_controls_forget_what_stood_there() -> None:
    painter = Painter()
    painter.paint(line("loss"), Size(20, 1), CONSOLE)
    assert "loss" in painter.paint(line("loss"), Size(20, 2), CONSOLE)
    picture = Strip([Segment("\x1bPq#0\x1b\\", None, [(1,)]), Segment("pic".ljust(20))])  # type: ignore[list-item]
    drawn = painter.paint(LayoutUpdate([[picture]], Region(0, 0, 20, 1)), Size(20, 2), CONSOLE)
    assert "\x1bPq#0\x1b\\" in drawn
    assert "loss" in painter.paint(line("loss"), Size(20, 2), CONSOLE)


KEYS = (
    "j", "j", "j", "k", "down", "up", "G", "g", "1", "2", "3", "4", "z", "tab", "space", "escape", "escape", "question_mark",
    "slash", "q_", "enter", "l", "i", "s", "n", "m", "o", "b", "d", "right", "left", "pagedown", "ctrl+l",
    "ctrl+p", "t",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_session_of_the_panel_shows_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    app = panel.make_app()
    twins = Twins(Size(120, 40), painter=Painter())
    app.painter = twins.painter

    def display(screen: Any, update: Any) -> None:
        if isinstance(update, CompositorUpdate) and app.is_running and not app._batch_count:
            if app.size != twins.size:
                twins.size = app.size
                twins.clear()
            twins.show(update)

    monkeypatch.setattr(app, "_display", display)
    async with app.run_test(size=(120, 40)) as pilot:
        for _ in range(60):
            action = dice.random()
            if action < 0.7:
                await pilot.press(dice.choice(KEYS).removesuffix("_"))
            elif action < 0.85:
                views = (panel.NO_GPU, panel.NOT_TOLD, panel.TWO_CARDS, panel.LONG)
                panel.feed(app, panel.RUNS, panel.RUN_VIEW, dice.choice(views))
            elif action < 0.9:
                await pilot.resize_terminal(dice.randrange(MINIMUM[0], 160), dice.randrange(MINIMUM[1], 50))
            elif action < 0.95:
                app.action_repaint()
            else:
                app.notify("漢字 saved e\u0301", timeout=0.2)
            if not app.is_running:
                break
            await pilot.pause()
            twins.compare()
    assert twins.bytes[1] < twins.bytes[0]


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert wants_diff(config)
    texts = {"[panel]\ndiff = false\n": False, "[panel]\ndiff = true\n": True, "panel = 3": True, "=": True}
    for text, wanted in texts.items():
        config.write_text(text)
        assert wants_diff(config) is wanted
