"""Xid errors as the driver reports them: waited for in a thread of its own, never asked for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from ctypes import c_void_p, cast
from typing import Any

from backends.telemetry.explain import xid_text
from backends.telemetry.nvml import Card
from backends.telemetry.sample import Xid

WAIT_MS = 2000
_RETRY_S = 30.0
_KEPT = 200
"""More at once than this are the same trouble many times over."""


class XidWatch:
    """Waits for the errors of the cards that it was last given. The thread is a daemon: it may hang in the driver."""

    def __init__(self) -> None:
        self._found: deque[Xid] = deque(maxlen=_KEPT)
        self._cards: tuple[Card, ...] = ()
        self._wanted: tuple[Card, ...] = ()
        self._thread: threading.Thread | None = None

    def watch(self, cards: Sequence[Card]) -> None:
        """Which cards; those that came back have a new handle."""
        self._wanted = tuple(cards)
        if self._wanted and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="xid", daemon=True)
            self._thread.start()

    def take(self) -> tuple[Xid, ...]:
        """What has come since the last call."""
        found = []
        while self._found:
            found.append(self._found.popleft())
        return tuple(found)

    def _run(self) -> None:
        import pynvml

        while True:
            self._cards = self._wanted
            try:
                self._wait(pynvml, self._register(pynvml))
            except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError):
                time.sleep(_RETRY_S)  # not supported here, or the driver is away

    def _register(self, library: Any) -> Any:
        """An event set with every card that takes part.

        Raises:
            NVMLError: None does.
        """
        events = library.nvmlEventSetCreate()
        refused: Exception | None = None
        taken = 0
        for card in self._cards:
            try:
                library.nvmlDeviceRegisterEvents(card.handle, library.nvmlEventTypeXidCriticalError, events)
                taken += 1
            except library.NVMLError as error:
                refused = error
        if not taken and refused is not None:
            library.nvmlEventSetFree(events)
            raise refused
        return events

    def _wait(self, library: Any, events: Any) -> None:
        """Until the cards are others."""
        places = {_address(card.handle): card.index for card in self._cards}
        try:
            while _same(self._cards, self._wanted):
                try:
                    event = library.nvmlEventSetWait_v2(events, WAIT_MS)
                except library.NVMLError_Timeout:
                    continue
                code = int(event.eventData)
                index = places.get(_address(event.device), 0)
                self._found.append(Xid(time.time(), index, code, xid_text(code)))
        finally:
            library.nvmlEventSetFree(events)


def _same(before: Sequence[Card], now: Sequence[Card]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _address(handle: Any) -> int | None:
    return cast(handle, c_void_p).value
