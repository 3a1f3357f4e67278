"""The colours of each theme. A colour has one meaning; all but those of ``ansi`` are of the 256 that terminals have.

``colour-blind`` takes the hues of Okabe and Ito (2008, *Color Universal Design*), which stay apart for all common
kinds of colour blindness; ``ansi`` takes the terminal's own sixteen, whatever they look like there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """What a theme is made of: Rich's names of colours, but ``dim`` and the cursors, which are styles.

    Args:
        title: What it is, in a line.
        dark: Whether the text is lighter than what is under it.
        cursor: Under the chosen row of a list that has not the focus; ``cursor_focus`` of the one that has it.
        ladder: The styles of a model's status, from asked with keywords to tuned.
        other: What is not ours: memory of others, published figures.
        ansi: Its colours are the terminal's own.
    """

    name: str
    title: str
    dark: bool
    background: str
    surface: str
    border: str
    text: str
    dim: str
    accent: str
    cursor: str
    cursor_focus: str
    selection: str
    warning: str
    error: str
    success: str
    ladder: tuple[str, str, str]
    other: str
    ansi: bool = False

    @property
    def tokens(self) -> dict[str, str]:
        """Meaning to style. Each also has a sign or a word, so that nothing is said by colour alone."""
        return {
            "": self.text,
            "dim": self.dim,
            "title": f"bold {self.text}",
            "accent": self.accent,
            "key": f"bold {self.accent}",
            "jump": f"bold {self.accent} reverse",
            "todo": self.dim,
            "running": f"bold {self.accent}",
            "graph": self.accent,
            "alarm": f"bold {self.warning}",
            "error": f"bold {self.error}",
            "bad": self.error,
            "good": self.success,
            "graph2": self.success,
            **dict(zip(("proxy", "tested", "tuned"), self.ladder, strict=True)),
            "other": self.other,
        }


DARK = Palette(
    name="dark",
    title="dark",
    dark=True,
    background="#121212",
    surface="#1c1c1c",
    border="#444444",
    text="#d0d0d0",
    dim="#8a8a8a",
    accent="#5fafff",
    cursor="on #303030",
    cursor_focus="on #00005f",
    selection="#005f87",
    warning="#ff8700",
    error="#ff5f5f",
    success="#87af5f",
    ladder=("#d7af5f", "#87af5f", "bold #87d787"),
    other="#d7af5f",
)
LIGHT = Palette(
    name="light",
    title="light: dark text on white",
    dark=False,
    background="#ffffff",
    surface="#eeeeee",
    border="#b2b2b2",
    text="#262626",
    dim="#626262",
    accent="#005faf",
    cursor="on #e4e4e4",
    cursor_focus="on #afd7ff",
    selection="#afd7ff",
    warning="#875f00",
    error="#af0000",
    success="#005f00",
    ladder=("#5f5f00", "#005f00", "bold #005f00"),
    other="#875f00",
)
CONTRAST = Palette(
    name="contrast",
    title="high contrast: white and bright colours on black",
    dark=True,
    background="#000000",
    surface="#000000",
    border="#bcbcbc",
    text="#ffffff",
    dim="#d0d0d0",
    accent="#00ffff",
    cursor="on #3a3a3a",
    cursor_focus="on #0000af",
    selection="#0000af",
    warning="#ffaf00",
    error="#ff8787",
    success="#87ff87",
    ladder=("#ffff5f", "#87ff87", "bold #87ff87"),
    other="#ffff5f",
)
COLOUR_BLIND = Palette(
    name="colour-blind",
    title="colour-blind safe: blue, orange and yellow on black",
    dark=True,
    background="#121212",
    surface="#1c1c1c",
    border="#444444",
    text="#d0d0d0",
    dim="#949494",
    accent="#5fafff",
    cursor="on #303030",
    cursor_focus="on #00005f",
    selection="#005f87",
    warning="#ffaf00",
    error="#ff8700",
    success="#00d7af",
    ladder=("#ffff5f", "#00d7af", "bold #00d7af"),
    other="#ffff5f",
)
ANSI = Palette(
    name="ansi",
    title="the terminal's own sixteen colours",
    dark=True,
    background="default",
    surface="default",
    border="bright_black",
    text="default",
    dim="dim",
    accent="cyan",
    cursor="underline",
    cursor_focus="reverse",
    selection="blue",
    warning="yellow",
    error="red",
    success="green",
    ladder=("yellow", "green", "bold green"),
    other="yellow",
    ansi=True,
)
PALETTES: dict[str, Palette] = {one.name: one for one in (DARK, LIGHT, CONTRAST, COLOUR_BLIND, ANSI)}
