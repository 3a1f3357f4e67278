"""What a work function is handed: its frozen spec, its directory, its event file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.jobs.events import EventWriter
from db.home import Home


class JobError(Exception):
    """The job cannot go on; ``hint`` says what a person can do. Written as a `failed` event, exit code 1."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Job:
    """One attempt of one run, inside its worker process."""

    home: Home
    run_id: int
    attempt: int
    spec: dict[str, Any]
    events: EventWriter

    @property
    def dir(self) -> Path:
        return self.home.run_dir(self.run_id)

    @property
    def predictions(self) -> Path:
        return self.dir / "predictions.jsonl"

    def stop_requested(self) -> bool:
        """True when a person asked to stop and save (training writes a checkpoint and ends)."""
        try:
            control = json.loads((self.dir / "control.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(control.get("stop"))
