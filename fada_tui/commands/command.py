"""What a command is: one definition gives its key, its place in the footer, its palette entry and its help row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.keys import format_key

from fada_tui.sources.views import Selection

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

ANYWHERE = ("repaint", "suspend")
"""Commands whose keys work on every screen."""
PANES = ("tracker", "queue", "gpu", "run")
_KEY_NAMES = {"escape": "esc", "minus": "-", "plus": "+", "down": "↓", "up": "↑", "left": "←", "right": "→"}


def key_name(key: str) -> str:
    """Textual's name of a key as a person reads it: ``?``, ``^p``, ``esc``."""
    if key in _KEY_NAMES:
        return _KEY_NAMES[key]
    sign = format_key(key)
    return sign if len(sign) == 1 and sign.isascii() else key.replace("ctrl+", "^")


@dataclass(frozen=True)
class Need:
    """What a command must have to act on.

    Args:
        test: Whether it is there.
        words: What it is, after *needs*.
    """

    test: Callable[[Selection], bool]
    words: str

    def __call__(self, selection: Selection) -> bool:
        return self.test(selection)


@dataclass(frozen=True)
class Command:
    """One thing the panel can do.

    Args:
        id: Stable name, as in a key map.
        keys: Textual key names; the first one is shown.
        label: One or two words, for the footer.
        description: One sentence, for palette and help.
        group: Heading in the help.
        run: Does it. Called in the app's thread, so it must not block.
        panes: Where its key works; everywhere if empty.
        needs: Whether it has something to act on: a :class:`Need` where that can be said in words.
        footer: Rank in the footer, low first; None leaves it out.
        palette: Whether the palette offers it.
        shown: How the key is written, where that is not its Textual name.
        named: What the footer calls it right here, where that is not always the label.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    description: str
    group: str
    run: Callable[[Dashboard], None]
    panes: tuple[str, ...] = ()
    needs: Callable[[Selection], bool] | None = None
    footer: int | None = None
    palette: bool = True
    shown: str = ""
    named: Callable[[Selection], str] | None = None

    @property
    def key(self) -> str:
        """The key as a person reads it."""
        if self.shown:
            return self.shown
        return key_name(self.keys[0]) if self.keys else ""

    def works(self, selection: Selection) -> bool:
        """Whether the key does something right here."""
        here = not self.panes or selection.pane in self.panes
        return here and (self.needs is None or self.needs(selection))

    def lacks(self, selection: Selection) -> str | None:
        """What it needs and has not, in words; None where it can be done, from whatever pane."""
        if self.needs is None or self.needs(selection):
            return None
        return f"needs {self.needs.words}" if isinstance(self.needs, Need) else "has nothing to act on here"

    def meets(self, other: Command) -> bool:
        """Whether there is a pane in which both work."""
        return not self.panes or not other.panes or bool(set(self.panes) & set(other.panes))

    def here(self, selection: Selection) -> Command:
        """The command under the name that it has right here."""
        return self if self.named is None else replace(self, label=self.named(selection))
