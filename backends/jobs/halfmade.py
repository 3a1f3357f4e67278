"""Run directories that a killed `submit` has left: made, never enqueued, and nobody's any more."""

from __future__ import annotations

import os
import time
from pathlib import Path

from backends.jobs.lock import is_held
from backends.jobs.store import run_ids
from db.home import Home

OLD_S = 3600.0
"""Whoever is making one now has touched it since."""
_SPEC = "spec.json"
_OWN = ("attempts", "control.json", "lock")


def half_made(home: Home) -> list[Path]:
    """Directories without a spec that hold nothing but what is written before it, the newest of it an hour old."""
    return [folder for run_id in run_ids(home) if _is_half_made(folder := home.run_dir(run_id))]


def _is_half_made(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
        if _SPEC in names or not all(_is_own(name) for name in names):
            return False
        if "attempts" in names and os.listdir(folder / "attempts"):
            return False
        newest = max((folder / name).lstat().st_mtime for name in (".", *names))
    except OSError:  # gone, or being written
        return False
    return time.time() - newest > OLD_S and not is_held(folder / "lock")


def _is_own(name: str) -> bool:
    """Also a file that was to take the place of the spec or the control file."""
    return name in _OWN or (name.startswith(".fada-") and name.endswith(".tmp"))
