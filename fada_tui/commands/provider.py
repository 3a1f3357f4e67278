"""The command palette's entries, from the same table as the keys."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from fada_tui.commands.command import Command
from fada_tui.commands.table import TABLE


class PanelCommands(Provider):
    """Everything that has something to act on now, wherever the focus is."""

    def _offered(self) -> list[Command]:
        from fada_tui.screens.dashboard import Dashboard

        if not isinstance(self.screen, Dashboard):
            return []
        selection = self.screen.selection
        return [c for c in TABLE if c.palette and (c.needs is None or c.needs(selection))]

    def _hit_text(self, command: Command) -> str:
        name = command.label[:1].upper() + command.label[1:]
        return f"{name}  ({command.key})" if command.key else name

    async def discover(self) -> Hits:
        for command in self._offered():
            yield DiscoveryHit(self._hit_text(command), partial(self._run, command), help=command.description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._offered():
            text = self._hit_text(command)
            score = max(matcher.match(text), 0.8 * matcher.match(command.description))
            if score > 0:
                yield Hit(score, matcher.highlight(text), partial(self._run, command), help=command.description)

    def _run(self, command: Command) -> None:
        from fada_tui.screens.dashboard import Dashboard

        if isinstance(self.screen, Dashboard):
            self.screen.panel_app.carry_out(partial(command.run, self.screen))
            self.screen.update_keys()
