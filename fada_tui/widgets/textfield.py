"""A text field that edits in the order of the keys."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

_ELSEWHERE = ("submit", "copy", "paste")
"""Actions that the form or the app may want for themselves."""


class TextField(Input):
    """Acts on keys such as ctrl+u and backspace at once.

    Textual's own field hands them up to the app and goes on typing meanwhile: of ctrl+u and a path sent in one go, as
    over a slow line, the path was deleted too.
    """

    async def _on_key(self, event: events.Key) -> None:
        actions = [binding.action for binding in self._bindings.key_to_bindings.get(event.key, ())]
        if actions and actions[0] not in _ELSEWHERE:
            event.stop()
            event.prevent_default()
            await self.run_action(actions[0])
