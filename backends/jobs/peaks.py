"""What an attempt was seen to take of the card: its peak memory and its energy, kept in the run's directory.

Sampled by the dispatcher, its one writer. The runner cannot ask the driver (standard library only), so it takes the
peak from this file into the exit record.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json, write_json

_WORTH = 1.01
"""A peak is written again when it has grown by a hundredth."""


@dataclass(frozen=True)
class Energy:
    """``whole``: that of all who were on the card, which could not be told apart."""

    joules: float
    whole: bool


def vram_peak(folder: Path, attempt: int) -> int | None:
    """Bytes, or None where none was seen."""
    found = (read_json(_file(folder, attempt)) or {}).get("vram_bytes")
    return found if isinstance(found, int) else None


def note_vram(folder: Path, attempt: int, seen: int) -> int:
    """Keep the peak; what it is now."""
    before = vram_peak(folder, attempt) or 0
    if seen <= before * _WORTH or not _change(folder, attempt, vram_bytes=seen):
        return before
    return seen


def energy_of(folder: Path, attempt: int) -> Energy | None:
    """What the cards drew for one attempt; None where no card was asked."""
    record = read_json(_file(folder, attempt)) or {}
    joules = record.get("energy_j")
    return Energy(float(joules), bool(record.get("energy_of_card"))) if isinstance(joules, (int, float)) else None


def add_energy(folder: Path, attempt: int, more: Energy) -> None:
    """Add to what is known."""
    before = energy_of(folder, attempt) or Energy(0.0, False)
    joules = round(before.joules + more.joules, 1)
    _change(folder, attempt, energy_j=joules, energy_of_card=before.whole or more.whole)


def total_energy(folder: Path, attempts: int) -> Energy | None:
    """Over all attempts; None where no card was asked in any."""
    found = [one for number in range(1, attempts + 1) if (one := energy_of(folder, number)) is not None]
    return Energy(sum(one.joules for one in found), any(one.whole for one in found)) if found else None


def _change(folder: Path, attempt: int, **values: Any) -> bool:
    """False where the directory was deleted or the disk is full, which is let be."""
    try:
        write_json(_file(folder, attempt), {**(read_json(_file(folder, attempt)) or {}), **values})
    except OSError:
        return False
    return True


def _file(folder: Path, attempt: int) -> Path:
    return folder / "attempts" / f"{attempt}.peak.json"
