"""What is to be said of a job before it is queued: memory of the card and of this machine, tokens, steps and time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from backends.catalog.reader import USER_FILE
from backends.catalog.resolve import resolve_model
from backends.estimate.ask import Answer, Question, ask, card_memory
from backends.estimate.configuration import find_configuration
from backends.estimate.foresee import Foreseen, foresee
from backends.estimate.images import FRAME, ImageLoad, image_load, largest, limited
from backends.jobs.admission import Capacity, Claim, impossible
from backends.jobs.engines.machine import capacity_of
from backends.jobs.pace import Pace, find_pace, total_steps
from backends.jobs.reservation import reserved_bytes
from backends.jobs.spec import model_content
from backends.telemetry.sample import Telemetry
from db.connect import connect
from db.home import Home


@dataclass(frozen=True)
class Images:
    """What the usual image of some data becomes in a model, and the largest where that is another."""

    size: tuple[int, int]
    usual: ImageLoad
    largest: ImageLoad
    measured: bool
    """False: no data were named, and the size of a usual ultrasound frame is taken."""


@dataclass(frozen=True)
class Prospect:
    """``card``: on the card, whether or not there is one; ``here``: of the memory that this machine reserves."""

    card: Answer
    here: Foreseen
    capacity: Capacity
    images: Images | None
    steps: int | None = None
    samples: int | None = None
    """That are seen, each time counted."""
    pace: Pace | None = None

    @property
    def reserved(self) -> int:
        """Bytes, as the run's reservation would be."""
        return reserved_bytes(self.here.interval[2], self.capacity)

    @property
    def refused(self) -> str | None:
        """Why it could not be queued here: it can never fit. None where it could."""
        if self.here.seen:
            return None
        return impossible(Claim(0, self.here.interval[1]), self.capacity)

    @property
    def seconds(self) -> float | None:
        """How long it should take; None where nothing was measured."""
        return self.pace.seconds(self.samples) if self.pace and self.samples else None


def prospect(
    home: Home,
    runs: sqlite3.Connection,
    question: Question,
    sample: Telemetry,
    training: Mapping[str, Any] | None = None,
) -> Prospect:
    """Everything at once; it reads the disk.

    Args:
        sample: The machine as it is now.
        training: Of a fine-tune: ``batch_size``, ``accumulation``, ``epochs`` and ``max_steps``.
    """
    user_catalog = home.root / USER_FILE
    capacity = capacity_of(sample)
    card = ask(question, runs, card_memory(sample.gpus), user_catalog)
    spec = question.spec()
    here = card.foreseen if capacity.memory == "VRAM" else foresee(spec, capacity.memory, runs, user_catalog)
    steps, seen = None, question.samples
    if training is not None:
        known = question.samples is not None or training.get("max_steps")
        steps = total_steps(training, question.samples or 0) if known else None
        seen = steps * int(training["batch_size"]) * int(training["accumulation"]) if steps else None
    return Prospect(card, here, capacity, images_of(question), steps, seen, find_pace(home, runs, spec))


def images_of(question: Question) -> Images | None:
    """None for a model whose configuration is not known."""
    found = find_configuration(question.source)
    if found is None:
        return None
    found = limited(found, question.max_pixels)
    measured = [(width, height) for width, height, _ in question.image_sizes]
    sizes = [question.image_size] if question.image_size else measured or [FRAME]
    try:
        most = largest(found, sizes) or FRAME
        return Images(sizes[0], image_load(found, sizes[0]), image_load(found, most), bool(measured))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def model_facts(home: Home, model: str) -> dict[str, Any]:
    """What a spec would say of a model, as fields of :class:`backends.estimate.ask.Question`.

    Raises:
        ModelError: There is no such model, or none that can be loaded.
    """
    with closing(connect(home.fada_db, read_only=True)) as tracker:
        found = resolve_model(model, tracker)
    folder = Path(found.source)
    content = _content(folder, folder.stat().st_mtime_ns) if folder.is_absolute() and folder.is_dir() else None
    name = found.tracker_name or found.name
    return {"source": found.source, "name": name, "loader": found.loader, "content": content}


@lru_cache(maxsize=16)
def _content(folder: Path, _changed: int) -> str | None:
    """The hash of a checkpoint folder: of up to 256 MiB a file, so it is made once while a form is open."""
    return model_content(folder)
