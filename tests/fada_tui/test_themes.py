"""Each theme can be read, says the same things, and nothing by colour alone."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import pytest
from rich.color import Color
from rich.style import Style

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.theme import ThemeScreen
from fada_tui.sources.views import RunList
from fada_tui.widgets.palettes import ANSI, COLOUR_BLIND, DARK, PALETTES, Palette
from fada_tui.widgets.theme import style, style_on, under
from tests.fada_tui import panel
from tests.fada_tui.conftest import Until

DRAWN = [palette for palette in PALETTES.values() if not palette.ansi]
PLACES = ("background", "surface", "cursor", "cursor_focus")
LEAST = {"contrast": 7.0}
"""WCAG 2.2: 4.5 is AA for text, 7 is AAA."""


def channels(color: Color | None) -> tuple[float, ...]:
    assert color is not None and color.triplet is not None
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.triplet.normalized)


def luminance(color: Color | None) -> float:
    red, green, blue = channels(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(text: Style, ground: Style) -> float:
    one, other = sorted((luminance(text.color), luminance(ground.bgcolor)))
    return (other + 0.05) / (one + 0.05)


@pytest.mark.parametrize("palette", DRAWN, ids=lambda palette: palette.name)
def test_every_text_can_be_read_on_everything_that_it_stands_on(palette: Palette) -> None:
    least = LEAST.get(palette.name, 4.5)
    for token in palette.tokens:
        for place in PLACES:
            # The row under the cursor is found by its ground; the plainest texts of the dark one were chosen before.
            wanted = least if place in ("background", "surface") else 3.0
            assert contrast(style(palette, token), under(palette, place)) >= wanted, (token, place)


def test_nothing_is_faint_on_a_reversed_row() -> None:
    """Half of a foreground that has become the ground: grey on grey."""
    assert under(ANSI, "cursor_focus").reverse and style_on(ANSI, "dim").dim
    assert not any(style_on(ANSI, token, "cursor_focus").dim for token in ANSI.tokens)
    assert style_on(DARK, "dim", "cursor") == under(DARK, "cursor") + style(DARK, "dim")


def test_all_palettes_say_the_same_things() -> None:
    assert len({frozenset(palette.tokens) for palette in PALETTES.values()}) == 1
    for palette in PALETTES.values():
        assert all(style(palette, token) for token in palette.tokens if token or not palette.ansi)


DEFICIENCIES = {
    # Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def lab(linear: tuple[float, ...]) -> tuple[float, float, float]:
    """OKLab (Ottosson 2020)."""
    red, green, blue = (max(0.0, channel) for channel in linear)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def distance(palette: Palette, one: str, other: str, matrix: tuple[tuple[float, ...], ...]) -> float:
    seen = []
    for token in (one, other):
        linear = channels(style(palette, token).color)
        seen.append(lab(tuple(sum(a * b for a, b in zip(row, linear, strict=True)) for row in matrix)))
    return math.dist(*seen)


@pytest.mark.parametrize("matrix", DEFICIENCIES.values(), ids=DEFICIENCIES)
def test_what_differs_stays_apart_for_the_colour_blind(matrix: tuple[tuple[float, ...], ...]) -> None:
    pairs = [("good", "bad"), ("tested", "error"), ("good", "alarm"), ("running", "error")]
    assert all(distance(COLOUR_BLIND, *pair, matrix) > 0.1 for pair in pairs)


def test_the_measure_of_that_tells_the_dark_theme_from_it() -> None:
    dark = distance(DARK, "good", "bad", DEFICIENCIES["deuteranopia"])
    assert dark < distance(COLOUR_BLIND, "good", "bad", DEFICIENCIES["deuteranopia"])


async def test_a_theme_is_tried_on_and_kept(panel_home: Home, until: Until) -> None:
    panel_home.config.write_text("# mine\n[panel]\nimages = 'off' # slow line\n")
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        panel.feed(app, panel.RUNS, panel.RUN_VIEW, panel.GPU)
        await pilot.press("ctrl+p", *"theme", "enter")
        await until(pilot, lambda: isinstance(app.screen, ThemeScreen))
        await pilot.press("j")
        await until(pilot, lambda: app.theme == "light")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert app.theme == "dark"
        await pilot.press("ctrl+p", *"theme", "enter")
        await until(pilot, lambda: isinstance(app.screen, ThemeScreen))
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: "contrast" in panel_home.config.read_text())
    assert panel_home.config.read_text() == "# mine\n[panel]\nimages = 'off' # slow line\ntheme = \"contrast\"\n"
    assert PanelApp(panel_home, live=False).theme == "contrast"


async def test_the_rows_wear_the_theme_at_once() -> None:
    app = panel.make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        panel.feed(app, RunList(), None, panel.NO_GPU)
        await pilot.pause()
        for name in PALETTES:
            app.theme = name
            await pilot.pause()
            ground = under(PALETTES[name]).bgcolor
            strip = app.dashboard.tracker.render_line(3)
            assert {segment.style.bgcolor for segment in strip if segment.style} == {ground}


def test_palettes_differ(tmp_path: Path) -> None:
    for one, other in combinations(PALETTES.values(), 2):
        assert one.background != other.background or one.tokens != other.tokens
