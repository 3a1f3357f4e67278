"""What a training leaves: the last weights, and in ``best/`` those of the best held-out score, if earlier."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.work.common import sync_folder
from backends.work.training.heldout import Scored
from backends.work.training.methods import Prepared

BEST = "best"
RECORD = "fada_score.json"
"""In ``best/``: the step, and its scores."""


def save(job: Job, prepared: Prepared, name: str, summary: Mapping[str, Any]) -> Path:
    """Write weights, processor and model card beside their place, and rename them there when they are whole."""
    from backends.work.card import write_card

    folder, temporary = job.dir / name, job.dir / f"{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    prepared.model.model.save_pretrained(str(temporary))
    prepared.model.processor.save_pretrained(str(temporary))
    if name == BEST:
        write_json(temporary / RECORD, dict(summary["best"]))
    write_card(job, temporary, dict(summary))
    sync_files(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    sync_folder(job.dir)
    return folder


class Best:
    """Keeps the weights of the best held-out score so far; of a resumed training the one that is there counts."""

    def __init__(self, job: Job, prepared: Prepared) -> None:
        self.job = job
        self.prepared = prepared
        record = read_json(job.dir / BEST / RECORD)
        self.scored = Scored(int(record.pop("step")), record) if record else None

    def offer(self, scored: Scored, *, last: bool) -> None:
        """Save the weights as they are, unless they were better before or are about to be left anyway."""
        if scored.step == 0 or (self.scored is not None and scored.rank <= self.scored.rank):
            return
        self.scored = scored
        if not last:
            save(self.job, self.prepared, BEST, {"method": self.prepared.method, "best": facts(scored)})

    def settle(self, last: Scored | None) -> Path | None:
        """At the end: ``best/`` stays only where it is better than the last weights. Says which."""
        folder = self.job.dir / BEST
        if self.scored is None or last is None or last.rank >= self.scored.rank:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        self.job.events.message(
            "info", f"best/ has the best held-out score: {self.scored.words()}; the last: {last.words()}"
        )
        return folder


def facts(scored: Scored) -> dict[str, Any]:
    """Step and scores as a record."""
    return {"step": scored.step, **scored.values}


def sync_files(folder: Path) -> None:
    """Make what is in ``folder`` outlast a power cut, the files before their names."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_folder(folder)
