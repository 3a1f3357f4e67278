"""What is shown where the panel does not fit; everything under it stays as it is."""

from __future__ import annotations

from rich.text import Text
from textual.screen import ModalScreen

MINIMUM = (40, 10)


class TooSmall(ModalScreen[None]):
    """Says how large the terminal is and must be. The app takes it away when there is room again."""

    auto_links = False

    def render(self) -> Text:
        width, height = self.app.size
        return Text(
            f"Terminal too small\n{width}×{height}, needs {MINIMUM[0]}×{MINIMUM[1]}\nctrl+q quits", justify="center"
        )
