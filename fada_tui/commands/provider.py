"""The command palette's entries, from the same table as the keys; on any other screen from that screen's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from fada_tui.commands.command import Command, key_name

if TYPE_CHECKING:
    from fada_tui.screens.dashboard import Dashboard

_NOT_NOW = 0.5
"""What cannot be done now comes behind what can."""


@dataclass(frozen=True)
class Entry:
    """A line of the palette. ``lacks`` says why it cannot be done now; None where it can."""

    name: str
    text: str
    run: Callable[[], object]
    lacks: str | None = None

    @property
    def help(self) -> str:
        return self.text if self.lacks is None else f"({self.lacks}) {self.text}"


class PanelCommands(Provider):
    """Every command there is, wherever the focus is: first those that have something to act on."""

    def _entries(self) -> list[Entry]:
        from fada_tui.screens.dashboard import Dashboard

        if isinstance(self.screen, Dashboard):
            return sorted(_commands(self.screen), key=lambda entry: entry.lacks is not None)
        return list(_keys(self.screen))

    async def discover(self) -> Hits:
        for entry in self._entries():
            yield DiscoveryHit(entry.name, entry.run, help=entry.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self._entries():
            score = max(matcher.match(entry.name), 0.8 * matcher.match(entry.text))
            if score > 0:
                shown = score if entry.lacks is None else _NOT_NOW * score
                yield Hit(shown, matcher.highlight(entry.name), entry.run, help=entry.help)


def _titled(name: str, keys: str) -> str:
    title = name[:1].upper() + name[1:]
    return f"{title}  ({keys})" if keys else title


def _commands(panel: Dashboard) -> Iterator[Entry]:
    selection = panel.selection
    for command in panel.commands.table:
        if command.palette:
            lacks = command.lacks(selection)
            name = _titled(command.here(selection).label if lacks is None else command.label, command.key)
            yield Entry(name, command.description, partial(_carry_out, panel, command), lacks)


def _carry_out(panel: Dashboard, command: Command) -> None:
    lacks = command.lacks(panel.selection)
    if lacks is not None:
        text = f"{command.label} {lacks}"
        panel.app.notify(text, title="Not now", severity="warning", markup=False, timeout=6)
        return
    panel.panel_app.carry_out(partial(command.run, panel))
    panel.update_keys()


def _keys(screen: Screen[Any]) -> Iterator[Entry]:
    from fada_tui.screens.keyhelp import bindings_of

    for binding in bindings_of(screen):
        keys = " ".join(map(key_name, binding.key.split(",")))
        yield Entry(_titled(binding.description, keys), "", partial(screen.run_action, binding.action))
