"""The most card memory that an attempt was seen to hold: sampled by the dispatcher, kept in the run's directory.

The runner cannot ask the driver (standard library only), so it takes the number from this file into the exit record.
"""

from __future__ import annotations

from pathlib import Path

from backends.jobs.files import read_json, write_json

_WORTH = 1.01
"""A peak is written again when it has grown by a hundredth."""


def vram_peak(folder: Path, attempt: int) -> int | None:
    """Bytes, or None where none was seen."""
    found = (read_json(_file(folder, attempt)) or {}).get("vram_bytes")
    return found if isinstance(found, int) else None


def note_vram(folder: Path, attempt: int, seen: int) -> int:
    """Keep the peak; what it is now. A directory that was deleted or a full disk is let be."""
    before = vram_peak(folder, attempt) or 0
    if seen <= before * _WORTH:
        return before
    try:
        write_json(_file(folder, attempt), {"vram_bytes": seen})
    except OSError:
        return before
    return seen


def _file(folder: Path, attempt: int) -> Path:
    return folder / "attempts" / f"{attempt}.peak.json"
