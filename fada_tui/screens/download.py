"""Downloading a model: what the hub has of it, what that takes and what is free, before anything is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import events, on, work
from textual.message import Message

from db.home import Home
from fada_tui.format import count, size
from fada_tui.screens.confirm import Choice, ConfirmScreen
from fada_tui.sources.trouble import explain

if TYPE_CHECKING:
    from backends.jobs.fetching import Wanted


class DownloadScreen(ConfirmScreen):
    """Answers only once the hub has said what there is to fetch; ``wanted`` has it then.

    Args:
        model: A tracker name. One that stands for several sizes has a key for each.
    """

    @dataclass
    class Sizes(Message):
        names: tuple[str, ...]

    @dataclass
    class Known(Message):
        wanted: Wanted

    @dataclass
    class Failed(Message):
        text: str

    def __init__(self, home: Home, model: str) -> None:
        super().__init__(f"Download {model}?", "asking the hub what it has of it …", Choice("y", "download it"))
        self._home = home
        self._model = model
        self._sizes: tuple[str, ...] = ()
        self.wanted: Wanted | None = None

    def on_mount(self) -> None:
        self._look(self._model)

    def may_answer(self) -> bool:
        return self.wanted is not None and not self.wanted.is_here and self.wanted.room.fits

    def on_key(self, event: events.Key) -> None:
        """The key of a size. Those of the answers are ConfirmScreen's, whose own handler is called after this one."""
        place = int(event.key) - 1 if event.key.isascii() and event.key.isdigit() else -1
        if 0 <= place < len(self._sizes):
            event.stop()
            name, self._sizes = self._sizes[place], ()
            self.say(f"asking the hub what it has of {name} …")
            self._look(name)

    @work(thread=True, exit_on_error=False)
    def _look(self, name: str) -> None:
        from backends.jobs.fetching import look_up, sizes_of

        try:
            if names := sizes_of(self._home, name):
                self.post_message(self.Sizes(names))
            else:
                # Whether its pickles are agreed to is asked here.
                self.post_message(self.Known(look_up(self._home, name, allow_pickle=True)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
            message, hint = explain(error)
            self.post_message(self.Failed(f"{message}\n→ {hint}" if hint else message))

    @on(Sizes)
    def _several(self, event: Sizes) -> None:
        self._sizes = event.names
        self.say("It stands for several sizes:", *(f"{at}  {name}" for at, name in enumerate(event.names, start=1)))

    @on(Known)
    def _known(self, event: Known) -> None:
        self.wanted = event.wanted
        self.say(*about(event.wanted))

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self.say(*event.text.split("\n"))


def about(wanted: Wanted) -> list[str]:
    """What a person should know before it is fetched."""
    found, room = wanted.found, wanted.room
    lines = [f"{found.repo} at {found.commit[:12]}: {count(len(found.files), 'file')}, {size(found.bytes)}"]
    if wanted.is_here:
        return [*lines, "All of it is on this machine already."]
    here = found.bytes - room.needed
    come = f"{size(room.needed)} to fetch" + (f", {size(here)} have come already" if here else "")
    lines.append(f"{come}; {size(room.free)} free in {room.folder}")
    lines.append(f"Licence: {found.licence or 'not stated'}." + (" Gated, and you have access." if found.gated else ""))
    if not room.fits:
        message, hint = room.refusal(found.repo)
        lines += [f"⚠ {message}", f"→ {hint}"]
    elif found.pickled:
        lines.append(f"⚠ Its weights are only there as {found.pickled}, a pickle, which can carry code.")
        lines.append("y agrees to that: only plain tensors are then read from it (weights_only=True).")
    return lines
