"""One dark theme: every colour has one meaning, and is one of the 256 that every terminal has."""

from __future__ import annotations

from functools import cache

from rich.style import Style
from textual.theme import Theme

BACKGROUND = "#121212"
SURFACE = "#1c1c1c"
BORDER = "#444444"
TEXT = "#d0d0d0"
DIM = "#8a8a8a"
ACCENT = "#5fafff"
CURSOR = "#303030"
CURSOR_FOCUS = "#00005f"

TOKENS: dict[str, str] = {
    "": TEXT,
    "dim": DIM,
    "title": f"bold {TEXT}",
    "accent": ACCENT,
    "key": f"bold {ACCENT}",
    # The ladder, from nothing done to tuned.
    "todo": DIM,
    "proxy": "#d7af5f",
    "tested": "#87af5f",
    "tuned": "bold #87d787",
    "running": f"bold {ACCENT}",
    "alarm": "bold #ff8700",
    "error": "bold #ff5f5f",
    "good": "#87af5f",
    "bad": "#ff5f5f",
    "graph": ACCENT,
    "graph2": "#87af5f",
    "other": "#d7af5f",
}
"""Meaning to style. Each also has a sign or a word, so that nothing is said by colour alone."""


@cache
def style(token: str) -> Style:
    """The Rich style of a token.

    Raises:
        KeyError: There is no such meaning.
    """
    return Style.parse(TOKENS[token])


def fada_theme() -> Theme:
    return Theme(
        name="fada",
        primary=ACCENT,
        secondary=ACCENT,
        accent=ACCENT,
        warning="#ff8700",
        error="#ff5f5f",
        success="#87af5f",
        foreground=TEXT,
        background=BACKGROUND,
        surface=BACKGROUND,
        panel=SURFACE,
        boost=SURFACE,
        dark=True,
        variables={
            "border": ACCENT,
            "border-blurred": BORDER,
            "input-selection-background": "#005f87",
            "block-cursor-background": CURSOR_FOCUS,
            "block-cursor-foreground": TEXT,
            "scrollbar": BORDER,
            "scrollbar-background": BACKGROUND,
            "scrollbar-hover": DIM,
            "scrollbar-active": ACCENT,
        },
    )
