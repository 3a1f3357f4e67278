"""Proposes the rest of a path while it is typed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual.suggester import Suggester


class PathSuggester(Suggester):
    """The first entry (in order, hidden ones last) that begins like what was typed; folders end in a slash."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(complete, value)


def complete(value: str) -> str | None:
    """The completed path, or None where nothing begins like that or nothing was typed."""
    folder, begin = os.path.split(value)
    if not value or not begin:
        return None
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            found = sorted(
                (entry.name, entry.is_dir())
                for entry in entries
                if entry.name.startswith(begin) and entry.name.isprintable()
            )
    except OSError:
        return None
    if not found or (found[0][0] == begin and not found[0][1]):
        return None
    name, is_folder = found[0]
    return value + name.removeprefix(begin) + ("/" if is_folder else "")
