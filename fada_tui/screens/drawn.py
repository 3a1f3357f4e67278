"""A full screen whose rows depend on nothing but its width."""

from __future__ import annotations

from fada_tui.screens.full import FullScreen
from fada_tui.widgets.line import Row


class DrawnScreen(FullScreen):
    """A subclass says what the :meth:`rows` are."""

    def rows(self, width: int) -> list[Row]:
        """The whole screen in so many cells."""
        raise NotImplementedError

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        width = self.view.scrollable_content_region.width
        if width > 0:
            self.view.show(self.rows(width))
