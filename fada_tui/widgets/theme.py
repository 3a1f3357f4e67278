"""What a token of meaning looks like in the theme that is chosen, and the themes as Textual wants them."""

from __future__ import annotations

from functools import cache
from typing import Any

from rich.style import Style
from textual.app import App
from textual.theme import Theme

from fada_tui.widgets.palettes import DARK, PALETTES, Palette


def palette_of(app: App[Any]) -> Palette:
    """That of the app's theme; the dark one for a theme that is not ours."""
    return PALETTES.get(app.theme, DARK)


@cache
def style(palette: Palette, token: str) -> Style:
    """The Rich style of a token.

    Raises:
        KeyError: There is no such meaning.
    """
    return Style.parse(palette.tokens[token])


@cache
def style_on(palette: Palette, token: str, place: str = "background") -> Style:
    """A token as it is drawn on a place: what is faint could not be read on a reversed row, so there it is not."""
    ground, text = under(palette, place), style(palette, token)
    return ground + text + Style(dim=False) if ground.reverse and text.dim else ground + text


@cache
def under(palette: Palette, place: str = "background") -> Style:
    """What text is drawn on: ``background``, ``surface``, ``cursor`` or ``cursor_focus``."""
    if place in ("cursor", "cursor_focus"):
        row = Style.parse(palette.cursor_focus if place == "cursor_focus" else palette.cursor)
        return Style.parse(f"on {palette.background}") + row
    return Style.parse(f"on {palette.surface if place == 'surface' else palette.background}")


def as_textual(palette: Palette) -> Theme:
    """The theme for borders, fields, dialogs and toasts, which Textual draws."""

    def colour(name: str) -> str:
        return f"ansi_{name}" if palette.ansi else name

    chosen = under(palette, "cursor_focus").bgcolor
    block = palette.selection if palette.ansi or chosen is None else chosen.name
    accent, text, background = colour(palette.accent), colour(palette.text), colour(palette.background)
    return Theme(
        name=palette.name,
        primary=accent,
        secondary=accent,
        accent=accent,
        warning=colour(palette.warning),
        error=colour(palette.error),
        success=colour(palette.success),
        foreground=text,
        background=background,
        surface=background,
        panel=colour(palette.surface),
        boost=colour(palette.surface),
        dark=palette.dark,
        ansi=palette.ansi,
        variables={
            "border": accent,
            "border-blurred": colour(palette.border),
            "input-selection-background": colour(palette.selection),
            "block-cursor-background": colour(block),
            "block-cursor-foreground": text,
            "scrollbar": colour(palette.border),
            "scrollbar-background": background,
            "scrollbar-hover": text if palette.ansi else palette.dim,
            "scrollbar-active": accent,
            # Textual's own styles name these in a theme of the terminal's colours.
            **({"ansi-background": "ansi_black", "ansi-foreground": "ansi_white"} if palette.ansi else {}),
        },
    )
